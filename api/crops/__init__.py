"""Classification requests: two protocols and every form of body, submitted in one way."""

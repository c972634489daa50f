"""Pictures of a digit as crops: ink is told from ground, the digit from what lies about it, and then normalised."""

"""The requests that bring crops: two protocols, every form of body, one way to the chip."""

"""Challenges between people and the chip, and the boards on which who wants to be is named."""

"""Crops: what is sent to the chip and answered, with or without a job's record."""

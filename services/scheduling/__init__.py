"""What the chip does next, and when waiting work will begin and end."""

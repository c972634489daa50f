"""The process that owns the chip."""

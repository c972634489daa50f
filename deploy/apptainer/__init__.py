"""A worker inside the software container of a real chip."""

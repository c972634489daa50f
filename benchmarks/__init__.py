"""Side-by-side measurements with alternatives."""

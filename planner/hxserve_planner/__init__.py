"""Capacity of a number of chips: the real policy in simulated time. See docs/capacity.md and decision 19."""

"""How much a number of chips can do: the real policy in simulated time. See docs/capacity.md and decision 19."""

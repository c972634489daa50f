"""Asking how much a number of chips can do: what a service measured, the simulation's process, plots of the answer."""

"""Defaults of the operations, under hxtorch's names."""

wait_between_events = 5
"""FPGA cycles of 8 ns from one event to the next."""

gain = 0.002
"""LSB per unit of input times weight."""

noise_std = 2.0
"""Standard deviation of one readout, in LSB."""

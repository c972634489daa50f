"""Ranges and sizes of the chip, under the names of ``hxtorch.perceptron.constants``."""

from hxtorch_emulator.perceptron.constants import defaults as defaults

synaptic_weight_min = -63
"""Smallest weight, 6 bit and sign."""

synaptic_weight_max = 63
"""Largest weight, 6 bit and sign."""

input_activation_min = 0
"""Smallest input; an input of zero sends no event."""

input_activation_max = 31
"""Largest input, 5 bit."""

output_activation_min = -128
"""Smallest readout of the 8-bit ADC, in LSB."""

output_activation_max = 127
"""Largest readout of the 8-bit ADC, in LSB."""

hardware_matrix_height = 128
"""Signed synapse rows of one synapse block."""

hardware_matrix_width = 256
"""Synapse columns, hence neurons, of one synapse block."""

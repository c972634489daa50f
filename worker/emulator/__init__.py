"""An emulator of ``hxtorch`` in plain torch: the same names, the same numbers, no chip.

``from worker.emulator import perceptron`` stands for ``from hxtorch import perceptron``.
"""

from worker.emulator import perceptron
from worker.emulator.connection import init_hardware, release_hardware

__all__ = ["init_hardware", "perceptron", "release_hardware"]

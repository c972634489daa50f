"""What ``import hxtorch`` finds in a process that a program on the emulator spawned: the emulator."""

import sys

from hxtorch_emulator import install

del sys.modules["hxtorch"]
install()

"""What `import hxtorch` finds in a process that a program on the shared chip spawned: that chip, not opened yet."""

import sys

from hxserve.programs.installation import use_shared_chip

del sys.modules["hxtorch"]
use_shared_chip()

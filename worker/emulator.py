"""`python -m worker.emulator`, as `python -m hxtorch_emulator` was called before."""

import sys

from hxtorch_emulator.__main__ import main

if __name__ == "__main__":
    main(sys.argv[1:])

"""`python -m hxserve` is `hxserve`."""

from hxserve.cli import main

main()

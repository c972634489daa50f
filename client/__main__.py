"""`python -m client` is `hxserve`."""

from client.cli import main

main()

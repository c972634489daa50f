"""What users install: the Python client and the `hxserve` command. It speaks HTTP only."""

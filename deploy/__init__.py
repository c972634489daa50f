"""Running hxserve: everything on one machine, the demo, containers and units."""

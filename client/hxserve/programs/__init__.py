"""Programs written for hxtorch, on the chip of a service: everything here needs `pip install 'hxserve[hxtorch]'`."""

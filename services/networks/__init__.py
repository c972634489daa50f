"""Networks as data: their layers, shapes and size on the chip. Learning knows this part of the services alone."""

"""Long jobs: their records and params, taking them in, looking at them and subscribing to them."""

"""The letter centre: envelopes drawn by a seed, their postcodes found, cut into digits, read by the service, routed."""

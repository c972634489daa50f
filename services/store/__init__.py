"""The door to Redis: nothing outside this package speaks to it, and no Redis error leaves it."""

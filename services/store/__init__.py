"""The door to Redis: connection, scripts, schema and snapshot; the stores of each thing stand under it."""

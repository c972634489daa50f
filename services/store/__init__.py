"""Access to Redis: connection, scripts, schema and snapshot, used by all stores."""

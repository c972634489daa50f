"""The chips: leases, affinity of models, drains, series of measurements, wake-ups."""

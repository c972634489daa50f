"""The chips: who holds each, affinity of models, drains, series of measurements, wake-ups."""

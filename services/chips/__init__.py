"""The chips: who holds each, where models are at home, maintenance, series of measurements, wake-ups."""

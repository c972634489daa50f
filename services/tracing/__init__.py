"""Traces of requests and jobs, for a collector of OpenTelemetry."""

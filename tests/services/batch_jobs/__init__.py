"""Tests of `services/batch_jobs`."""

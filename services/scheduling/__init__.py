"""Scheduling: the policy, the costs of work, and forecasts of when waiting work begins and ends."""

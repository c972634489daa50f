"""Pictures of every kind as crops."""

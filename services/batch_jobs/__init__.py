"""Batch jobs: files of crops read by one version, their answers, and the forms in which these are downloaded."""

"""Long jobs: records, params, submission, inspection and subscriptions."""

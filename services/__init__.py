"""What the system does: jobs, scheduling, crops, models, users. It knows neither Flask, Celery nor torch."""

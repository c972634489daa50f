"""The core of the system: jobs, scheduling, crops, models, users. It knows neither Flask, Celery nor torch."""

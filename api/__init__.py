"""HTTP in, JSON out: the Flask application. It knows no torch and no Celery task code."""

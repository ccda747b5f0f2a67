"""Runs the router: processes, Celery tasks and the composition root. No policy lives here."""

"""Runs the router: the processes, the Celery tasks and the composition root. No policy lives here."""

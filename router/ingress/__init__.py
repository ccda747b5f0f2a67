"""Receives: listeners, admission, the reception of one object, intake into the ledger."""

"""What can go wrong with the ledger. No message carries a row's values."""


class LedgerError(Exception):
    """The ledger did not do what was asked."""


class LedgerUnavailable(LedgerError):
    """Not now: the database is away, busy, or full. Trying again later is right."""


class LedgerBusy(LedgerUnavailable):
    """Others were in the way (a deadlock, a lock held too long): the same again will do."""


class LedgerRefused(LedgerError):
    """Not ever: the statement or its values are wrong. Trying again is pointless."""


class SchemaOutdated(LedgerError):
    """The schema is older than this version. `dicom-router db upgrade` brings it forward."""

"""The ledger's contract, on every database it can be kept in."""

from router.ledger import Ledger


def test_schema(ledger: Ledger):
    ledger.check()

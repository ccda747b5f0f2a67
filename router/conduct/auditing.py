"""Tells the router's own log what people ask of the vault, wherever they ask it from."""

from __future__ import annotations

from router import metrics
from router.ledger import Ledger, vault
from router.logs import get_logger

BEFORE_MS = 60_000
"""How far back a new leader begins: rather told twice than not at all."""
MOST = 100
ACTIONS = ("lookup", "export", "forget", "reseal", "audit")
WORTH_A_LOOK = ("touched", "wrong_secret")

log = get_logger("vault")


class AuditWatch:
    """Of the leader. Reasons stay in the ledger: people write names into them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        for action in ACTIONS:  # an increase is seen from 0, not from nothing
            for outcome in WORTH_A_LOOK:
                metrics.VAULT_QUESTIONS.labels(action, outcome)
        self._told: int | None = None

    def look(self) -> int:
        """Tell of what is new; of how many. Raises LedgerUnavailable; the next time tells all."""
        with self._ledger.read() as connection:
            if self._told is None:
                self._told = vault.last_audit_before(connection, BEFORE_MS)
            new = vault.audits_after(connection, self._told, limit=MOST)
        for one in new:
            self._told = one.id
            metrics.VAULT_QUESTIONS.labels(one.action, one.outcome).inc()
            log.info(
                "the vault was asked",
                number=one.id,
                who=one.who,
                action=one.action,
                outcome=one.outcome,
                n=one.entries,
            )
        return len(new)

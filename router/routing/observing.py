"""Who looks on while objects are routed, and changes nothing."""

from __future__ import annotations

from typing import Protocol

from rules.choosing import Down
from rules.facts import Facts
from rules.verdict import Verdict


class Observer(Protocol):
    """Told of every verdict, by many threads. It raises nothing: routing goes on without it."""

    def decided(
        self, object_id: str, facts: Facts, verdict: Verdict, *, version: str, down: Down
    ) -> None:
        """The rules of this version said so, with these destinations down. The facts can be read
        until this returns."""

    def batch_recorded(self) -> None:
        """What was decided before is in the ledger."""

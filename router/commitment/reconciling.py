"""Compares what a destination should have with what it has, series by series (C-FIND)."""

from collections import defaultdict
from dataclasses import dataclass

from router.commitment.calling import peer_of
from router.commitment.querying import Series, present
from router.config import Destination
from router.ledger import DeliveryState, Ledger, reconciling
from router.ledger.reconciling import Sent

PAGE = 2000
SERIES_AT_ONCE = 100
"""Series asked for over one association."""

_SENT = (DeliveryState.DELIVERED, DeliveryState.COMMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An object that the destination lacks, and why as far as we know. `resendable`: sending it
    again is possible and of use."""

    sent: Sent
    why: str
    resendable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A destination's studies: how many objects were looked for, and what it lacks of them."""

    destination: str
    studies: int
    objects: int
    missing: tuple[Missing, ...]


def reconcile(
    destination: Destination, ledger: Ledger, *, since_ms: int = 0, study: str | None = None
) -> Compared:
    """Look for all that was received since then (milliseconds of the epoch), or of one study.

    A NetError if the destination does not tell. Keeps a line for each object in memory.
    """
    wanted = _wanted(destination.name, ledger, since_ms, study)
    by_series: defaultdict[Series, list[Sent]] = defaultdict(list)
    for sent in wanted.values():
        by_series[sent.study_instance_uid, sent.series_instance_uid].append(sent)
    missing: list[Missing] = []
    series = sorted(by_series)
    for start in range(0, len(series), SERIES_AT_ONCE):
        some = series[start : start + SERIES_AT_ONCE]
        found = present(peer_of(destination, query=True), some)
        for one in some:
            lacking = [sent for sent in by_series[one] if sent.sop_instance_uid not in found[one]]
            missing += map(_missing, lacking)
    return Compared(
        destination=destination.name,
        studies=len({study_uid for study_uid, _ in by_series}),
        objects=len(wanted),
        missing=tuple(missing),
    )


def _wanted(name: str, ledger: Ledger, since_ms: int, study: str | None) -> dict[str, Sent]:
    """The latest delivery of each SOP instance."""
    found: dict[str, Sent] = {}
    after = f"{max(since_ms, 0):012x}"
    while True:
        with ledger.read() as connection:
            page = reconciling.sent_to(connection, name, after=after, limit=PAGE, study=study)
        for sent in page:
            found[sent.sop_instance_uid] = sent
        if len(page) < PAGE:
            return found
        after = page[-1].object_id


def _missing(sent: Sent) -> Missing:
    if sent.state in _SENT:
        why = f"{sent.state.value}, and not there"
    elif sent.reason:
        why = f"not sent: {sent.state.value} ({sent.reason})"
    else:
        why = f"not sent: {sent.state.value}"
    if sent.forgotten:
        return Missing(sent=sent, why=f"{why}; not kept here any more", resendable=False)
    on_its_way = sent.state in (DeliveryState.WAITING, DeliveryState.LEASED)
    return Missing(sent=sent, why=why, resendable=not on_its_way)

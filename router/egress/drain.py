"""Pays off what is owed to one destination: a slot, then lease, deliver, record, until empty.

A drain is one thread's work and ends by itself: when nothing is due for a short while, when its
time is up, when it is told to stop, or when the destination fails. What it did not try it gives
back. Whoever rang the bell rings again when something is left due.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from router.config import Destination
from router.egress.attempts import Channel
from router.egress.dicom import DicomChannel
from router.egress.folder import FolderChannel
from router.egress.pool import Pool
from router.egress.recorder import Recorder, Writing
from router.egress.run import Run
from router.egress.tenure import Tenure
from router.egress.timing import Timing
from router.ledger import LeasedDelivery, Ledger, deliveries, destinations, leases
from router.ledger.clock import read_clock
from router.store import Store
from router.transcoding.copies import Copies

__all__ = ["DrainResult", "Timing", "cut_off", "drain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainResult:
    """How many were delivered, and whether more is due that a drain could work on now."""

    delivered: int
    left_due: bool


USUAL = Timing()
AWAY_SECONDS = 0.2
"""How often a ledger that is away is asked whether it is back."""
NOTHING_DONE = DrainResult(delivered=0, left_due=False)


def drain(
    destination: Destination,
    *,
    ledger: Ledger,
    store: Store,
    pool: Pool,
    worker: str,
    stop: Callable[[], bool],
    timing: Timing = USUAL,
    copies: Copies | None = None,
    more: Callable[[], object] = lambda: None,
) -> DrainResult:
    """Deliver what is due to `destination`; at once nothing when all its slots are taken.

    `worker` names the process in the history; `more` is called when another drain may help.
    Raises LedgerError: leases then run out.
    """
    # Leases are fenced by an owner that no other drain has.
    owner = _owners(worker) + secrets.token_hex(6)
    tenure = Tenure(destination, ledger, owner, timing.chance)
    channel = _channel(destination, store, pool, copies)
    # A read first: most bells ring for what another drain has taken already, or for a
    # destination that is down, and the ledger has only one writer at a time.
    work = _work(destination, ledger)
    if work is _Work.PROBE:
        _probe(ledger, tenure, channel)
    batch = _begin(ledger, tenure) if work is _Work.DELIVERIES else None
    if batch is None:
        return NOTHING_DONE
    writing = Writing(
        destination=destination, ledger=ledger, owner=owner, worker=worker, settle=channel.settle
    )
    recorder = Recorder(writing, timing)
    memory = pool.memory(destination.name)
    run = Run(tenure, recorder, channel, memory.suspects, memory.bell, more, stop, timing)
    try:
        run.work(batch)
    except BaseException:
        channel.close()
        # Otherwise the destination would get nothing until leases and slot have run out.
        tenure.abandon(_patience(timing, stop))
        raise
    # Asked once the slot is free: a bell that rang in vain while we had it is not lost.
    left = not run.in_vain and _work(destination, ledger) is _Work.DELIVERIES
    return DrainResult(delivered=recorder.delivered, left_due=left)


def cut_off(ledger: Ledger, worker: str) -> int:
    """Give back what drains of this process hold that will not end before the process does, as
    others do when they end; how many deliveries. Raises LedgerError: leases then run out."""
    with ledger.write() as connection:
        return leases.abandon(connection, _owners(worker))


def _owners(worker: str) -> str:
    """How the names of all drains of a process begin, and of no other process."""
    return f"{worker[-48:]}/"


class _Work(Enum):
    NOTHING = auto()
    DELIVERIES = auto()
    PROBE = auto()


def _work(destination: Destination, ledger: Ledger) -> _Work:
    """What there is to do now. A dead destination that nothing is to be sent to is asked whether
    it is back: a group may have given its work to others, and would never know."""
    windows = destination.windows
    with ledger.read() as connection:
        health = destinations.health(connection, destination.name)
        if health.held or not (health.up or health.probe_due):
            return _Work.NOTHING
        if not deliveries.has_due(connection, destination.name):
            return _Work.NOTHING if health.up else _Work.PROBE
        is_open = windows is None or windows.is_open(read_clock(connection))
    return _Work.DELIVERIES if is_open else _Work.NOTHING


def _begin(ledger: Ledger, tenure: Tenure) -> list[LeasedDelivery] | None:
    with ledger.write() as connection:
        return tenure.begin(connection)


def _probe(ledger: Ledger, tenure: Tenure, channel: Channel) -> None:
    """Ask the destination whether it is back, without an object."""
    with ledger.write() as connection:
        if not tenure.begin_probe(connection):
            return
    try:
        alive = channel.healthy()
    except BaseException:
        tenure.abandon()
        raise
    with ledger.write() as connection:
        tenure.end_probe(connection, alive=alive)


def _channel(destination: Destination, store: Store, pool: Pool, copies: Copies | None) -> Channel:
    if destination.folder is not None:
        return FolderChannel(destination.folder, store)
    assert destination.dicom is not None  # a destination is one of both
    return DicomChannel(destination, destination.dicom, store, pool, copies)


def _patience(timing: Timing, stop: Callable[[], bool]) -> Callable[[], bool]:
    until = timing.clock() + timing.patience

    def wait() -> bool:
        time.sleep(AWAY_SECONDS)
        return timing.clock() < until and not stop()

    return wait

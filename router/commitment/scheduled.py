"""Reconciliation on a schedule: turns of a run, study by study, at the pace that the site says.

The run is in the ledger, with its place: whoever has the next turn goes on there, after a restart
or a night's window, too. A destination that does not tell is left alone, longer each time.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from router import metrics
from router.commitment.calling import peer_of
from router.commitment.querying import Queries
from router.commitment.reconciling import Comparing, Finding, Kind, StudyCompared, compare, walk
from router.config import Destination
from router.config_reconcile import Reconcile
from router.ledger import Ledger, destinations, leases, reconciliations, reconciling
from router.ledger.clock import read_clock
from router.ledger.reconciliations import Run
from router.logs import get_logger
from router.net.errors import NetError
from router.store import Store

TURN_SECONDS = 10.0
"""How long one turn lasts, at most: others wait for the place."""
LONGEST_GAP = 5.0
"""An association is kept between two studies that are no further apart."""
LEASE_MS = 180_000
FIRST_AWAY_MS, LONGEST_AWAY_MS = 30_000, 1_800_000
MOST_RESENT = 1_000
"""Objects that one run sends again: more is no loss to be mended, but something to look into."""
_PAUSE = 0.1

log = get_logger("reconciliation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """What a turn needs. `owner` names one turn of one worker."""

    ledger: Ledger
    store: Store
    owner: str
    stop: Callable[[], bool] = lambda: False


def take_turn(destination: Destination, looking: Looking) -> None:
    """Go on with the destination's run, or begin one, unless another does or nothing is due.

    LedgerError: nothing is lost, a study is looked for again. Failures of the peer are noted.
    """
    settings = destination.reconcile
    if settings is None or destination.dicom is None:
        return
    ledger = looking.ledger
    name = _lease_name(destination)
    with ledger.write() as connection:
        if not leases.lead(connection, name, looking.owner, LEASE_MS):
            return
        run = _run(connection, destination, settings)
    pause_ms = 0
    try:
        if run is not None:
            pause_ms = _Turn(destination, settings, looking, run).take()
    except NetError as error:
        assert run is not None
        pause_ms = min(FIRST_AWAY_MS * 2 ** min(run.failures, 10), LONGEST_AWAY_MS)
        _does_not_tell(ledger, run, error)
    finally:
        with ledger.write() as connection:
            if pause_ms:
                leases.lead(connection, name, looking.owner, pause_ms)
            else:
                leases.resign(connection, name, looking.owner)


def _lease_name(destination: Destination) -> str:
    return f"r:{destination.name}"[:64]


def _run(connection: Connection, destination: Destination, settings: Reconcile) -> Run | None:
    newest, _ = reconciliations.latest(connection, destination.name)
    now = read_clock(connection)
    health = destinations.health(connection, destination.name)
    if settings.every is None or not settings.is_open(now) or not health.up or health.held:
        return None
    if not reconciliations.is_due(newest, now, every_ms=int(settings.every * 1000)):
        return None
    if newest is not None and newest.state == "running":
        return newest
    return reconciliations.begin(
        connection,
        destination.name,
        now=now,
        since_ms=int(settings.since * 1000),
        after_ms=int(settings.after * 1000),
    )


class _Turn:
    """A piece of a run."""

    def __init__(
        self, destination: Destination, settings: Reconcile, looking: Looking, run: Run
    ) -> None:
        self._name = destination.name
        self._lease = _lease_name(destination)
        self._settings = settings
        self._looking = looking
        self._run = run
        self._resent = run.resent
        self._gap = 60.0 / settings.pace
        self._peer = peer_of(destination, query=True)
        self._comparing = Comparing(
            destination=destination,
            ledger=looking.ledger,
            store=looking.store,
            ignored=destination.may_change,
            until_ms=run.until,
        )

    def take(self) -> int:
        """Compare studies until the time is up; for how long to leave the destination alone then,
        in milliseconds."""
        until = time.monotonic() + TURN_SECONDS
        run, done = self._run, None
        studies = walk(
            self._comparing, start=run.range_start, end=run.range_end, after=run.position
        )
        first = next(studies, None)
        if first is None:
            return self._end(None)
        with Queries(self._peer) as queries:
            for place, study in itertools.chain([first], studies):
                if done is not None and not self._note(done, place):
                    return 0
                if done is not None and not self._wait(until):
                    return 0 if self._gap <= LONGEST_GAP else int(self._gap * 1000)
                done = compare(
                    self._comparing, queries, study, start=run.range_start, end=run.range_end
                )
        return self._end(done)

    def _end(self, done: StudyCompared | None) -> int:
        if self._note(done, reconciling.LAST):
            self._finished()
        return 0

    def _wait(self, until: float) -> bool:
        """Keep the pace; False when the turn is over."""
        following = time.monotonic() + self._gap
        if self._gap > LONGEST_GAP or following > until:
            return False
        while (left := following - time.monotonic()) > 0:
            if self._looking.stop():
                return False
            time.sleep(min(left, _PAUSE))
        return not self._looking.stop() and self._is_open()

    def _is_open(self) -> bool:
        with self._looking.ledger.read() as connection:
            return self._settings.is_open(read_clock(connection))

    def _note(self, study: StudyCompared | None, position: str) -> bool:
        """A study is done with, and the next one begins at `position`. False: it took so long that
        another may have the turn, who looks for this study again."""
        counts = Counter[str]()
        found: list[reconciliations.Finding] = []
        if study is not None and study.objects:
            counts = _counts(study)
            found = _findings(study)
        with self._looking.ledger.write() as connection:
            if not leases.lead(connection, self._lease, self._looking.owner, LEASE_MS):
                return False
            if study is not None and self._settings.resend:
                ids = [one.sent.delivery_id for one in study.findings if one.resendable]
                ids = ids[: MOST_RESENT - self._resent]
                counts["resent"] = reconciling.resend(connection, ids, by="reconciliation")
                self._resent += counts["resent"]
            reconciliations.go_on(
                connection, self._run.id, position=position, counts=counts, findings=found
            )
        there = counts["objects"] - sum(counts[one] for one in _OUTCOMES)
        for outcome, count in (("present", there), *((one, counts[one]) for one in _OUTCOMES)):
            if count:
                metrics.RECONCILED.labels(self._name, outcome).inc(count)
        return True

    def _finished(self) -> None:
        with self._looking.ledger.read() as connection:
            newest, _ = reconciliations.latest(connection, self._name)
        assert newest is not None
        say = log.warning if newest.missing or newest.changed or newest.incomplete else log.info
        say(
            "reconciled",
            destination=self._name,
            **{name: getattr(newest, name) for name in reconciliations.COUNTS},
        )


_OUTCOMES = ("missing", "changed", "waiting", "unknown")


def _counts(study: StudyCompared) -> Counter[str]:
    counts = Counter(_counted_as(one) for one in study.findings)
    counts["studies"] = 1
    counts["objects"] = study.objects
    counts["incomplete"] = int(study.is_incomplete)
    return counts


def _counted_as(finding: Finding) -> str:
    """What is still in the queue is the queue's business."""
    waits = finding.kind is Kind.MISSING and finding.sent.on_its_way
    return "waiting" if waits else finding.kind.value


def _findings(study: StudyCompared) -> list[reconciliations.Finding]:
    found = [
        reconciliations.Finding(
            kind=one.kind.value,
            study_instance_uid=study.study_instance_uid,
            sop_instance_uid=one.sent.sop_instance_uid,
            delivery_id=one.sent.delivery_id,
            why=one.why,
        )
        for one in study.findings
        if _counted_as(one) != "waiting"
    ]
    if study.is_incomplete:
        found.append(
            reconciliations.Finding(
                kind="incomplete",
                study_instance_uid=study.study_instance_uid,
                sop_instance_uid=None,
                delivery_id=None,
                why=f"{study.received} of {study.announced} instances came in",
            )
        )
    return found


def _does_not_tell(ledger: Ledger, run: Run, error: NetError) -> None:
    metrics.RECONCILIATION_FAILURES.labels(run.destination, error.reason).inc()
    log.warning("not reconciled for now", destination=run.destination, reason=str(error))
    with ledger.write() as connection:
        reconciliations.failed(connection, run.id, error.reason)

"""A drain's right to work: one of the destination's slots, and leases on what it has in hand.

All of it is in the ledger, under an owner that names this drain alone, and runs out by itself
when the process dies. A thread renews it while the drain is busy, and gets outcomes recorded
that would otherwise wait for a slow object to end.
"""

import threading
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from router.config import Destination
from router.egress.pace import Pace
from router.egress.recorder import OLDEST_SECONDS, Recorder
from router.egress.retry import wait
from router.ledger import LeasedDelivery, Ledger, LedgerError, deliveries, destinations
from router.ledger.clock import read_clock
from router.logs import get_logger
from rules.windows import Windows

LEASE_MS = 60_000
RENEW_SECONDS = LEASE_MS / 3000
PROBE_MARGIN_SECONDS = 60.0
FIRST_BATCH = 16
SEVERE = 5
"""An error of configuration counts as so many failures: only a person ends it."""
SHARE = 16
"""Of so many deliveries one is the least urgent that is due: nobody waits for ever."""
POSTPONED_AT_ONCE = 5_000
"""Deliveries whose window has closed that one transaction lets wait for the next."""

log = get_logger("egress")


class Tenure:
    """What one drain holds in the ledger."""

    def __init__(
        self, destination: Destination, ledger: Ledger, owner: str, chance: Callable[[], float]
    ) -> None:
        self._destination = destination
        self._ledger = ledger
        self._owner = owner
        self._chance = chance
        self._mutex = threading.Lock()
        self._in_hand: set[int] = set()
        self._windows = destination.windows
        self._since_share = 0
        self.pace = Pace(destination.limits)
        self.probing = False
        self.workable = True
        self.slot = -1

    def begin(self, connection: Connection) -> list[LeasedDelivery] | None:
        """Take a slot and a first batch, and the probe if the destination is down.

        None: nothing to do for us, and nothing is held.
        """
        if not self._take_slot(connection):
            return None
        batch = self._lease(connection, FIRST_BATCH)
        if batch:
            return batch
        self.end(connection)
        return None

    def _take_slot(self, connection: Connection) -> bool:
        name = self._destination.name
        health = destinations.health(connection, name)
        if health.held or (not health.up and not health.probe_due) or not self._open(connection):
            return False
        slots = self._destination.slots
        slot = destinations.take_slot(connection, name, slots, self._owner, LEASE_MS)
        if slot is None:
            return False
        if not health.up:
            probe_ms = int(_probe_seconds(self._destination) * 1000)
            if not destinations.begin_probe(connection, name, self._owner, probe_ms):
                destinations.free_slot(connection, name, slot, self._owner)
                return False
            self.probing = True
        self.slot = slot
        return True

    def begin_probe(self, connection: Connection) -> bool:
        """Take a slot and the probe of a destination that is down, and no work."""
        if not self._take_slot(connection):
            return False
        if not self.probing:  # another drain has found it up meanwhile
            self.end(connection)
        return self.probing

    def end_probe(self, connection: Connection, *, alive: bool) -> None:
        """The destination has answered, or not; the slot is free."""
        if alive:
            self.mark_up(connection)
        else:
            before = destinations.health(connection, self._destination.name)
            self.mark_down(connection, before.reason or "no_answer", severe=False)
        self.end(connection)

    def has_due(self) -> bool:
        """Whether anything is due; a read."""
        with self._ledger.read() as connection:
            return deliveries.has_due(connection, self._destination.name)

    def overtaken(self, queue: Iterable[LeasedDelivery]) -> bool:
        """Whether something is due that is more urgent than all of these; a read."""
        priority = min((delivery.priority for delivery in queue), default=0)
        if not priority:
            return False
        with self._ledger.read() as connection:
            return deliveries.has_more_urgent(connection, self._destination.name, priority)

    def lease_next(
        self, connection: Connection, limit: int, *, answered: bool
    ) -> list[LeasedDelivery]:
        """The next deliveries that are due; none for a destination that is down, held or out of
        its schedule.

        `answered`: it has answered us since we asked last, which outweighs the failure that
        another drain has seen meanwhile.
        """
        health = destinations.health(connection, self._destination.name)
        self.workable = not health.held and (health.up or answered) and self._open(connection)
        if not self.workable:
            return []
        if not health.up:
            self.mark_up(connection)
        return self._lease(connection, limit)

    def _open(self, connection: Connection) -> bool:
        """Whether its schedule lets it be sent to now."""
        return self._windows is None or self._windows.is_open(read_clock(connection))

    def _lease(self, connection: Connection, limit: int) -> list[LeasedDelivery]:
        self._since_share += limit
        share, self._since_share = divmod(self._since_share, SHARE)
        leased = self._lease_timely(connection, limit, min(share, limit))
        kept, rest, cost_ms = self.pace.fitting(leased)
        if rest:
            deliveries.give_back(connection, self._owner, [delivery.id for delivery in rest])
        if cost_ms:
            name = self._destination.name
            self.pace.begin(destinations.reserve(connection, name, cost_ms) / 1000, kept)
        with self._mutex:
            self._in_hand.update(delivery.id for delivery in kept)
        return kept

    def _lease_timely(self, connection: Connection, limit: int, share: int) -> list[LeasedDelivery]:
        """Leased deliveries that may be sent at this time; others wait for theirs."""
        name = self._destination.name
        while True:
            leased = deliveries.lease_due(
                connection, name, owner=self._owner, limit=limit, lease_ms=LEASE_MS, share=share
            )
            untimely = {
                delivery.id: (delivery.send_between, opens)
                for delivery in leased
                if (opens := _opens(delivery)) > delivery.leased_at
            }
            if not untimely:
                return leased
            deliveries.give_back(connection, self._owner, list(untimely))
            for between, opens in set(untimely.values()):
                assert between is not None  # or it would be timely
                deliveries.postpone(connection, name, between, until=opens, limit=POSTPONED_AT_ONCE)
            if timely := [delivery for delivery in leased if delivery.id not in untimely]:
                return timely

    def tried(self, delivery_id: int) -> None:
        """This delivery's outcome is known; recording it ends its lease."""
        with self._mutex:
            self._in_hand.discard(delivery_id)

    def renew(self) -> bool:
        """Keep all of it; False: some of it was lost to another worker."""
        with self._mutex:
            ids = sorted(self._in_hand)
        name, owner = self._destination.name, self._owner
        with self._ledger.write() as connection:
            if not destinations.keep_slot(connection, name, self.slot, owner, LEASE_MS):
                return False
            # An outcome may have been recorded since: then its lease has ended rightly.
            deliveries.extend_leases(connection, owner, ids, LEASE_MS)
        return True

    def give_back(self, connection: Connection, rest: Iterable[LeasedDelivery]) -> None:
        """Return deliveries that were not tried, and what was reserved for them."""
        rest = list(rest)
        ids = [delivery.id for delivery in rest]
        if ids:
            deliveries.give_back(connection, self._owner, ids)
            if cost_ms := self.pace.cost_ms(rest):
                destinations.refund(connection, self._destination.name, cost_ms)
        with self._mutex:
            self._in_hand.difference_update(ids)

    def mark_up(self, connection: Connection) -> None:
        """The destination has answered."""
        if destinations.mark_up(connection, self._destination.name):
            log.info("destination is up again", destination=self._destination.name)
        self.probing = False

    def mark_down(self, connection: Connection, reason: str, *, severe: bool) -> None:
        """The destination failed: nothing for it before its next probe."""
        name = self._destination.name
        failures = destinations.health(connection, name).failures + (SEVERE if severe else 1)
        seconds = wait(self._destination.probe, failures, self._chance())
        health = destinations.mark_down(connection, name, reason, int(seconds * 1000))
        self.probing = False
        log.warning(
            "destination is down",
            destination=name,
            reason=reason,
            failures=health.failures,
            next_probe_in=(health.probe_in_ms or 0) / 1000,
        )

    def end(self, connection: Connection) -> None:
        """Free the slot; a probe that nothing came of is left to the next drain."""
        name = self._destination.name
        if self.probing:
            reason = destinations.health(connection, name).reason or "probe_without_answer"
            destinations.mark_down(connection, name, reason, 0)
        destinations.free_slot(connection, name, self.slot, self._owner)

    def abandon(self, wait: Callable[[], bool] = lambda: False) -> None:
        """After a failure of our own: give back what can be, the rest runs out by itself.

        `wait` is called while the ledger is away, and says whether to try once more.
        """
        with self._mutex:
            ids = sorted(self._in_hand)
        while True:
            try:
                with self._ledger.write() as connection:
                    deliveries.give_back(connection, self._owner, ids)
                    self.end(connection)
            except LedgerError:
                if wait():
                    continue
            return


class Keeper:
    """The thread that keeps a drain's tenure and its outcomes fresh while the drain is busy."""

    def __init__(self, tenure: Tenure, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._tenure = tenure
        self._recorder = recorder
        self._clock = clock
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="egress-keeper", daemon=True)
        self.lost = False

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        renew_at = self._clock() + RENEW_SECONDS
        while not self._done.wait(OLDEST_SECONDS):
            try:
                if self._recorder.is_due():
                    self._recorder.flush()
                if self._clock() >= renew_at:
                    self.lost = self.lost or not self._tenure.renew()
                    renew_at = self._clock() + RENEW_SECONDS
            except LedgerError as error:
                log.warning("ledger not reached; tried again", reason=str(error))


def _opens(delivery: LeasedDelivery) -> int:
    """When it may be sent: now, or when its window opens next."""
    if delivery.send_between is None:
        return delivery.leased_at
    return Windows.parse(delivery.send_between).opens(delivery.leased_at)


def _probe_seconds(destination: Destination) -> float:
    if destination.dicom is None:
        return PROBE_MARGIN_SECONDS
    limits = destination.dicom.timeouts
    return limits.connect + limits.acse + limits.network + limits.dimse + PROBE_MARGIN_SECONDS

"""Intake: rows in the ledger for what lies durably in the spool, and one ticket for each batch.

Receiving never waits for this. When the ledger is away, objects queue here up to a bound; beyond
it they are forgotten in memory only, and a scan of the spool takes them in again later.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from router import metrics, tickets
from router.broker import Broker, BrokerUnavailable
from router.ingress.carrying import Carriage
from router.ingress.recovery import scan
from router.ledger import Ledger, LedgerUnavailable, ReceivedObject, objects
from router.logs import get_logger
from router.store import Spool, Store
from router.tickets import RoutingTicket, Urgency

QUEUE_LIMIT = 20_000
"""Objects that wait in memory for the ledger: about 20 MB. More are left to a scan."""
BATCH = min(500, tickets.MAX_OBJECTS)
LINGER_SECONDS = 0.1
"""Under load a batch gathers this long: each one costs a ticket, two flushed transactions and a
lease further on, as much as some tens of rows. An object that comes alone does not wait."""
BUSY_SECONDS = 0.1
"""Load is when the next object comes so soon after the last batch."""
OFFER_SECONDS = 0.5
"""How long a scan waits for a place among what is carried, before it looks at what has arrived."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

log = get_logger("ingress")


class Intake:
    """One thread that carries received objects into the ledger, in batches."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        broker: Broker,
        spool: Spool,
        node: str,
        urgencies: Mapping[str, Urgency] | None = None,
        store: Store | None = None,
    ) -> None:
        """`node` names this spool in the ledger's checkpoints; `urgencies`: a listener's, where
        it is another than routine; `store`: where objects go first if the spool is not it."""
        self._ledger = ledger
        self._broker = broker
        self._spool = spool
        self._node = node
        self._urgencies = urgencies or {}
        self._queue: queue.Queue[ReceivedObject | None] = queue.Queue(QUEUE_LIMIT)
        self._overflowed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._carriage: Carriage | None = None
        if store is not None and store is not spool.store:
            self._carriage = Carriage(
                spool, store, carried=self.submit_carried, overflowed=self._leave_to_scan
            )
        self._checkpoint = ""
        self._scanned = False

    def start(self) -> None:
        """Begin; what an earlier run left in the spool is taken in first, beside new objects."""
        if self._carriage is not None:
            self._carriage.start()
        self._thread.start()

    def submit(self, received: ReceivedObject) -> None:
        """Take note of a durable object. Never waits and never fails."""
        if self._carriage is not None:
            self._carriage.submit(received)
        else:
            self.submit_carried(received)

    def secure(self, received: ReceivedObject) -> bool:
        """Carry it into the store while its sender waits; whether that has it. If so, it goes on
        with `submit_carried`; if not, it is gone."""
        return self._carriage is None or self._carriage.secure(received)

    def submit_carried(self, received: ReceivedObject) -> None:
        """Take note of an object that the store has. Never waits and never fails."""
        try:
            self._queue.put_nowait(received)
        except queue.Full:
            self._leave_to_scan(received)
        else:
            metrics.INTAKE_WAITING.inc()

    def _leave_to_scan(self, received: ReceivedObject) -> None:
        # A scan passes over what counts as under way. The flag first: while it stands, no
        # checkpoint overtakes the object.
        self._overflowed.set()
        self._spool.settled([received.id])

    def stop(self, timeout: float) -> bool:
        """Carry over what waits, then end; whether that was done within `timeout` seconds.

        What is left lies in the spool and is taken in at the next start.
        """
        deadline = time.monotonic() + timeout
        carried = self._carriage is None or self._carriage.stop(timeout / 2)
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return carried and not self._thread.is_alive()

    def _run(self) -> None:
        self._persist(self._scan)
        taken_in_at = float("-inf")
        while batch := self._gather(busy_until=taken_in_at + BUSY_SECONDS):
            self._take_in_gathered(batch)
            taken_in_at = time.monotonic()
            if self._overflowed.is_set() and self._queue.qsize() < QUEUE_LIMIT // 2:
                self._overflowed.clear()
                self._persist(self._scan)

    def _gather(self, *, busy_until: float = float("-inf")) -> list[ReceivedObject]:
        """The next batch; empty when it is time to end."""
        first = self._queue.get()
        if first is None:
            self._queue.put(None)  # whoever asks next is to end as well
            return []
        if time.monotonic() < busy_until and not self._stopping.is_set():
            time.sleep(LINGER_SECONDS)
        batch = [first]
        while len(batch) < BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)
                break
            batch.append(item)
        return batch

    def _take_in_gathered(self, batch: Sequence[ReceivedObject]) -> None:
        self._take_in(batch)
        metrics.INTAKE_WAITING.dec(len(batch))

    def _take_in(self, batch: Sequence[ReceivedObject]) -> None:
        def write() -> None:
            with self._ledger.write() as connection:
                objects.insert_received(connection, batch)

        if not self._persist(write):
            return
        ids = [received.id for received in batch]
        self._leave_spool(ids)
        self._spool.settled(ids)
        by_urgency: defaultdict[Urgency, list[str]] = defaultdict(list)
        for received in batch:
            by_urgency[self._urgencies.get(received.listener or "", "routine")].append(received.id)
        for urgency, these in by_urgency.items():
            self._ring(RoutingTicket(object_ids=tuple(these), urgency=urgency))
        self._advance_checkpoint()

    def _ring(self, ticket: RoutingTicket) -> None:
        try:
            self._broker.publish(ticket)
        except BrokerUnavailable as error:
            log.warning("ticket not published; the sweep rings again", reason=str(error))

    def _leave_spool(self, ids: Sequence[str]) -> None:
        """The store and the ledger have them: their files in the spool have served."""
        if self._carriage is None:
            return
        try:
            self._spool.store.delete(ids)
        except OSError as error:
            log.warning("files left in the spool for the next start", reason=error.strerror)

    def _advance_checkpoint(self) -> None:
        checkpoint = self._spool.checkpoint()
        if checkpoint == self._checkpoint or self._overflowed.is_set() or not self._scanned:
            return

        def write() -> None:
            with self._ledger.write() as connection:
                objects.set_checkpoint(connection, self._node, checkpoint)

        if self._persist(write):
            self._checkpoint = checkpoint

    def _scan(self) -> None:
        self._scanned = False  # no checkpoint may overtake what the scan is still to find
        apart = self._carriage is not None
        for batch in scan(self._ledger, self._spool, node=self._node, size=BATCH, apart=apart):
            if not self._resume(batch):
                return
            while not self._queue.empty() and (newer := self._gather()):
                self._take_in_gathered(newer)  # a long scan must not hold up what comes in now
        self._scanned = True

    def _resume(self, batch: Sequence[ReceivedObject]) -> bool:
        """Take up what a scan found; False if we end before there is a place for it."""
        if self._carriage is None:
            self._take_in(batch)
            return True
        self._spool.resumed(received.id for received in batch)
        for received in batch:
            while not self._carriage.offer(received, OFFER_SECONDS):
                if self._stopping.is_set():
                    return False
                if not self._queue.empty():
                    self._take_in_gathered(self._gather())
        return True

    def _persist(self, act: Callable[[], None]) -> bool:
        """Do it, again and again while the ledger is away; False if we end before it is back."""
        attempt = 0
        while True:
            try:
                act()
            except LedgerUnavailable as error:
                pause = RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]
                attempt += 1
                log.warning("ledger away; receiving goes on", reason=str(error), attempt=attempt)
                if self._stopping.wait(pause):
                    return False
            else:
                return True

"""One process of a site: all roles (`dicom-router run`), or one of them in a cluster."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from router.broker import commitment_queue, egress_queues, routing_queues
from router.conduct.commitment import unmeasure_commitment
from router.conduct.gauges import unmeasure
from router.conduct.reconciliation import unmeasure_reconciliation
from router.config import Site
from router.egress.drain import cut_off
from router.egress.pool import Pool
from router.ingress.guests import Guests
from router.ledger import Ledger, LedgerError, leases
from router.logs import get_logger
from router.rulebook import Watch
from workers import parts as made
from workers.app import Worker, register_commitment, register_egress, register_routing
from workers.commitment import MOST_AT_WORK, MOST_LOOKING
from workers.duties import Leadership, Rounds, lead, resign
from workers.health import Endpoint, serve
from workers.lock import lock_folder

DRAIN_SECONDS = 20.0
"""How long a stop waits for open associations, and again for deliveries in hand: together less
than the 60 s that orchestrators usually grant."""
SPARE_THREADS = 2
"""Beyond one for each slot of a destination: bells that find no free slot are then looked at
without waiting."""
STUCK_SECONDS = 600.0
"""A thread that has not come round for so long never will: time to be started anew."""

log = get_logger("router")


class Role(StrEnum):
    """What a process can be for."""

    INGRESS = "ingress"
    RULES = "worker rules"
    EGRESS = "worker egress"
    COMMITMENT = "worker commitment"
    CONDUCTOR = "conductor"


class Process:
    """The roles of this process. `start`, then `stop`.

    With a broker of its own in memory nobody else can be at work on the site: it then locks the
    store, brings the schema up to date, and frees what an earlier process had leased.
    """

    def __init__(
        self,
        site: Site,
        path: Path,
        roles: Collection[Role] = tuple(Role),
        *,
        lanes: Sequence[str] = (),
        guests: Mapping[str, Guests] | None = None,
    ) -> None:
        """`lanes`: which of the site's an egress worker serves, all by default; `guests`: by
        listener, where other processes of this machine share its port and its limits.

        DocumentError for rules with mistakes, LedgerError for a ledger that is away or outdated,
        OSError for a store that cannot be used."""
        self.site = site
        self._alone = site.broker == "memory://"
        self._lock = lock_folder(site.spool_path) if self._alone else None
        ledger = Ledger(site.ledger)
        if len(roles) == len(Role):
            ledger.upgrade()
        ledger.check()
        name = made.process_name()
        self._leadership = Leadership(lambda: lead(ledger, name), retired=_unmeasure)
        self._leads = Role.CONDUCTOR in roles
        leads = (lambda: self._alone or self._leadership.held()) if self._leads else lambda: False
        self.parts = made.parts_of(site, path, name=name, ledger=ledger, leads=leads)
        self._watch = Watch(self.parts.rulebook)
        self._pool = Pool(keeps=self._alone)
        self.ingress = made.ingress(self.parts, guests) if Role.INGRESS in roles else None
        self._worker = self._worker_for(roles, lanes or site.lanes)
        self._rounds = [Rounds(made.duties_at_home(self.parts, self._pool), name="home")]
        if self._leads:
            duties = made.duties_of_the_leader(self.parts)
            self._rounds.append(Rounds(duties, name="conductor", when=self._leadership.held))
            duties = made.duties_at_the_store(self.parts)
            self._rounds.append(Rounds(duties, name="store", when=self._leadership.held))
        self._endpoint: Endpoint | None = None
        self._started = False

    def _worker_for(self, roles: Collection[Role], lanes: Sequence[str]) -> Worker | None:
        parts, concurrency = self.parts, 0
        queues: list[str] = []
        if Role.RULES in roles:
            register_routing(parts.broker, made.routing_task(parts))
            queues += routing_queues()
            concurrency += parts.site.workers.routing
        if Role.EGRESS in roles:
            register_egress(parts.broker, made.egress_task(parts, self._pool))
            queues += egress_queues(lanes)
            concurrency += parts.site.egress_workers + SPARE_THREADS
        if Role.COMMITMENT in roles:
            register_commitment(parts.broker, made.commitment_task(parts))
            queues.append(commitment_queue())
            concurrency += MOST_AT_WORK + MOST_LOOKING
        if not queues:
            return None
        return Worker(parts.broker, queues=queues, concurrency=concurrency, name=_node(parts.name))

    def start(self, *, endpoint: bool = True) -> None:
        """Open the ports and begin. OSError if a port is taken; LedgerError."""
        if self._alone:
            with self.parts.ledger.write() as connection:
                leases.abandon_all(connection)  # ours alone: see `workers.lock`
        if endpoint and self.site.metrics is not None:
            where = self.site.metrics
            self._endpoint = serve(where.bind, where.port, dead=self.dead, unready=self.unready)
        if self._worker is not None:
            self._worker.start()
        for rounds in self._rounds:
            rounds.start()
        self._watch.start()
        if self.ingress is not None:
            self.ingress.start()
        self._started = True

    def reload(self) -> None:
        """Put the site's files in force now, also after a rollback."""
        self._watch.insist()

    def dead(self) -> list[str]:
        """What has ended or hangs although the process lives; empty: all is well."""
        return list(self._dead())

    def _dead(self) -> Iterator[str]:
        if self._worker is not None and self._started and not self._worker.alive:
            yield "the worker has ended"
        for rounds in self._rounds:
            if time.monotonic() - rounds.last_round > STUCK_SECONDS:
                yield f"the {rounds.name} thread hangs"

    def unready(self) -> list[str]:
        """Why nothing should be sent here now; empty: ready."""
        found = self.dead()
        if not self._started:
            found.append("starting")
        if self.parts.stopping.is_set():
            found.append("stopping")
        if self._worker is not None and not self._worker.takes_tickets:
            found.append("not connected to the broker")
        return found

    def stop(self) -> bool:
        """Drain: no new associations, finish what is in hand, give back what is leased.

        False: threads are left that wait for a peer that hangs.
        """
        if self.ingress is not None:
            self.ingress.stop(DRAIN_SECONDS)
        self.parts.stopping.set()
        self._watch.stop()
        for rounds in self._rounds:
            rounds.stop()
        if self._leads:
            self._resign()
        finished = self._worker is None or self._worker.stop(DRAIN_SECONDS)
        if not finished:
            self._cut_off()
        self._pool.close()
        self.parts.copies.close()
        if self._endpoint is not None:
            self._endpoint.close()
        self.parts.broker.close()
        self.parts.ledger.dispose()
        if self._lock is not None:
            self._lock.close()
        return finished

    def _cut_off(self) -> None:
        count = 0
        try:
            count = cut_off(self.parts.ledger, self.parts.name)
        except LedgerError as error:
            log.warning("not given back; the leases run out", reason=str(error))
        log.warning("deliveries in hand were cut off; others take them", given_back=count)

    def _resign(self) -> None:
        try:
            resign(self.parts.ledger, self.parts.name)
        except LedgerError as error:
            log.warning("not resigned; the lease runs out", reason=str(error))


def _unmeasure() -> None:
    unmeasure()
    unmeasure_commitment()
    unmeasure_reconciliation()


def _node(name: str) -> str:
    return f"dicom-router@{name}"

"""Everything in one process: the composition root of `dicom-router run`."""

from __future__ import annotations

import os
import socket
import threading
import time

from router import metrics
from router.broker import Broker
from router.conduct.gauges import measure, unmeasure
from router.conduct.retention import forget
from router.conduct.sweep import sweep, sweep_orphans
from router.config import Site
from router.egress.pool import Pool
from router.ingress.service import Ingress
from router.ledger import Ledger, destinations, leases, versions
from router.logs import get_logger
from router.routing.batch import Policy, Routing
from router.store import DirectoryStore, Spool
from rules.loading import load_rules
from workers.app import Worker, register
from workers.conductor import Conductor, Duty
from workers.egress import EgressTask
from workers.lock import lock_folder
from workers.routing import RoutingTask

DRAIN_SECONDS = 20.0
"""How long a stop waits for open associations, and again for deliveries in hand: together less
than the 60 s that orchestrators usually grant."""
LEADER_MS = 15_000
SPARE_THREADS = 2
"""Beyond one for each slot of a destination and each routing worker: tickets that find no free
slot are then looked at without waiting."""

log = get_logger("router")


class Embedded:
    """All parts of a site in this process. `start`, then `stop`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self.rules = load_rules(site.rules, destinations=site.destination_names)
        self._stopping = threading.Event()
        self._lock = lock_folder(site.store.path)
        self._ledger = Ledger(site.ledger)
        self._ledger.upgrade()
        self._broker = Broker(site.broker)
        store = DirectoryStore(site.store.path)
        spool = Spool(store)
        self._pool = Pool()
        self.ingress = Ingress(
            site, ledger=self._ledger, broker=self._broker, spool=spool, node=_node(site)
        )
        register(
            self._broker,
            route=RoutingTask(self._routing(spool), self._broker),
            deliver=self._egress(store),
        )
        self._worker = Worker(
            self._broker,
            concurrency=site.workers.routing + site.egress_workers + SPARE_THREADS,
            name=f"dicom-router@{self.name}",
        )
        self._conductor = Conductor(
            self._duties(store),
            leads=self._lead,
            retired=unmeasure,
            renew_every=LEADER_MS / 3000,
        )
        self._metrics: metrics.Endpoint | None = None

    def _routing(self, spool: Spool) -> Routing:
        site = self.site
        return Routing(
            ledger=self._ledger,
            spool=spool,
            rules=lambda: self.rules,
            policy=Policy(
                on_no_match=site.on_no_match,
                ignore_identical=site.duplicates == "ignore identical",
                loops=site.loops,
            ),
        )

    def _egress(self, store: DirectoryStore) -> EgressTask:
        return EgressTask(
            destinations={destination.name: destination for destination in self.site.destinations},
            ledger=self._ledger,
            store=store,
            pool=self._pool,
            broker=self._broker,
            worker=self.name,
            stop=self._stopping.is_set,
        )

    def _duties(self, store: DirectoryStore) -> list[Duty]:
        ledger, broker, site = self._ledger, self._broker, self.site
        keep_ms = int(site.retention.delivered * 1000)
        return [
            Duty(name="sweep", every=1.0, act=lambda: sweep(ledger, broker)),
            Duty(name="orphans", every=10.0, act=lambda: sweep_orphans(ledger, broker)),
            Duty(name="pool", every=1.0, act=lambda: self._pool.reap(time.monotonic())),
            Duty(name="measure", every=10.0, act=lambda: measure(ledger, store, site)),
            Duty(name="forget", every=10.0, act=lambda: forget(ledger, store, keep_ms=keep_ms)),
        ]

    def _lead(self) -> bool:
        with self._ledger.write() as connection:
            return leases.lead(connection, "conductor", self.name, LEADER_MS)

    def start(self) -> None:
        """Open the ports and begin. OSError if a port is taken."""
        with self._ledger.write() as connection:
            leases.abandon_all(connection)  # ours alone: see `workers.lock`
            destinations.ensure(connection, self.site.destination_names)
            versions.activate(connection, self.rules.version, self.rules.texts)
        if self.site.metrics is not None:
            self._metrics = metrics.serve(self.site.metrics.bind, self.site.metrics.port)
        self._worker.start()
        self._conductor.start()
        self.ingress.start()

    def stop(self) -> bool:
        """Drain: no new associations, finish what is in hand, give back what is leased.

        False: threads are left that wait for a peer that hangs.
        """
        self.ingress.stop(DRAIN_SECONDS)
        self._stopping.set()
        self._conductor.stop()
        finished = self._worker.stop(DRAIN_SECONDS)
        if not finished:
            log.warning("deliveries in hand were cut off; they are tried again at the next start")
        self._pool.close()
        if self._metrics is not None:
            self._metrics.close()
        self._ledger.dispose()
        self._lock.close()
        return finished


def _node(site: Site) -> str:
    """The spool's name in the ledger: the folder, since in one process it is also the store."""
    return str(site.store.path)[-128:]

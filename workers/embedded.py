"""Everything in one process: the composition root of `dicom-router run`."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

from router import metrics
from router.broker import Broker
from router.conduct.gauges import measure, unmeasure
from router.conduct.retention import forget
from router.conduct.sweep import sweep, sweep_orphans
from router.config import Site
from router.egress.pool import Pool
from router.ingress.service import Ingress
from router.ledger import Ledger, leases
from router.logs import get_logger
from router.routing.batch import Policy, Routing
from router.rulebook import Rulebook, Watch
from router.store import DirectoryStore, Spool
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

    def __init__(self, site: Site, path: Path) -> None:
        """`path`: the site's file, which is read again when it changes."""
        self.site = site
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self._stopping = threading.Event()
        self._lock = lock_folder(site.store.path)
        self._ledger = Ledger(site.ledger)
        self._ledger.upgrade()
        self.rulebook = Rulebook(path, site, ledger=self._ledger, who=self.name, leads=lambda: True)
        self.rulebook.open()
        self._watch = Watch(self.rulebook)
        self._broker = Broker(site.broker)
        store = DirectoryStore(site.store.path)
        spool = Spool(store)
        self._pool = Pool()
        self.ingress = Ingress(
            site, ledger=self._ledger, broker=self._broker, spool=spool, node=_node(site)
        )
        routing, egress = self._routing(spool), self._egress(store)
        register(self._broker, route=RoutingTask(routing, self._broker), deliver=egress)
        self.rulebook.when_site_changes(lambda now: self.ingress.admit(now.sources))
        self.rulebook.when_site_changes(lambda now: routing.decide_by(_policy(now)))
        self.rulebook.when_site_changes(lambda now: egress.serve(now.destinations))
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
        return Routing(
            ledger=self._ledger,
            spool=spool,
            rules=self.rulebook.table,
            policy=_policy(self.site),
        )

    def _egress(self, store: DirectoryStore) -> EgressTask:
        return EgressTask(
            destinations=self.site.destinations,
            ledger=self._ledger,
            store=store,
            pool=self._pool,
            broker=self._broker,
            worker=self.name,
            stop=self._stopping.is_set,
        )

    def _duties(self, store: DirectoryStore) -> list[Duty]:
        ledger, broker, site = self._ledger, self._broker, self.rulebook.site
        return [
            Duty(name="sweep", every=1.0, act=lambda: sweep(ledger, broker)),
            Duty(name="orphans", every=10.0, act=lambda: sweep_orphans(ledger, broker)),
            Duty(name="pool", every=1.0, act=lambda: self._pool.reap(time.monotonic())),
            Duty(name="measure", every=10.0, act=lambda: measure(ledger, store, site())),
            Duty(
                name="forget",
                every=10.0,
                act=lambda: forget(ledger, store, keep_ms=_keep_ms(site())),
            ),
        ]

    def _lead(self) -> bool:
        with self._ledger.write() as connection:
            return leases.lead(connection, "conductor", self.name, LEADER_MS)

    def start(self) -> None:
        """Open the ports and begin. OSError if a port is taken."""
        with self._ledger.write() as connection:
            leases.abandon_all(connection)  # ours alone: see `workers.lock`
        if self.site.metrics is not None:
            self._metrics = metrics.serve(self.site.metrics.bind, self.site.metrics.port)
        self._worker.start()
        self._conductor.start()
        self._watch.start()
        self.ingress.start()

    def reload(self) -> None:
        """Put the site's files in force now, also after a rollback."""
        self._watch.insist()

    def stop(self) -> bool:
        """Drain: no new associations, finish what is in hand, give back what is leased.

        False: threads are left that wait for a peer that hangs.
        """
        self.ingress.stop(DRAIN_SECONDS)
        self._stopping.set()
        self._watch.stop()
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


def _policy(site: Site) -> Policy:
    return Policy(
        on_no_match=site.on_no_match,
        ignore_identical=site.duplicates == "ignore identical",
        loops=site.loops,
    )


def _keep_ms(site: Site) -> int:
    return int(site.retention.delivered * 1000)


def _node(site: Site) -> str:
    """The spool's name in the ledger: the folder, since in one process it is also the store."""
    return str(site.store.path)[-128:]

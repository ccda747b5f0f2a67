"""What the processes of a site are made of. Each role is put together here, from the same parts,
whether it runs alone in a cluster or with all others in one process."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from router import metrics
from router.broker import Broker
from router.commitment.asking import PUSH
from router.commitment.hearing import Terms
from router.commitment.performing import MPPS, PerformedScp
from router.commitment.serving import CommitmentScp
from router.commitment.unanswered import expire
from router.conduct.auditing import AuditWatch
from router.conduct.bundling import close_bundles, drop_old_bundles, ring_left_behind
from router.conduct.commitment import (
    end_requests,
    measure_commitment,
    ring_for_commitment,
    ring_for_reports,
)
from router.conduct.gauges import measure
from router.conduct.history import end_history
from router.conduct.moving import Mover
from router.conduct.reconciliation import (
    end_old_runs,
    look_for_performed,
    measure_reconciliation,
    ring_for_reconciliation,
)
from router.conduct.retention import forget
from router.conduct.strays import Strays
from router.conduct.sweep import sweep, sweep_idle, sweep_orphans
from router.config import DestinationCommitment, Site
from router.egress.pool import Pool
from router.ingress.guests import Guests
from router.ingress.recovery import read_spooled
from router.ingress.service import Ingress
from router.ledger import Ledger
from router.net.services import Service
from router.routing.batch import Policy, Routing
from router.rulebook import Rulebook, Shadow
from router.store import Recent, Spool, Store
from router.store.disk import free_bytes as free_bytes_of
from router.store.opening import open_spool, open_store
from router.transcoding.copies import Copies
from router.transcoding.transcoder import Transcoder
from workers.commitment import CommitmentTask
from workers.duties import Duty
from workers.egress import EgressTask
from workers.routing import RoutingTask

UNREAD_SECONDS = 30.0
"""Objects in memory that were received longer ago wait for something: the disk has them, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every process of a site has. `site` is as at the start, `rulebook.site()` as it is."""

    site: Site
    name: str
    ledger: Ledger
    rulebook: Rulebook
    broker: Broker
    store: Store
    recent: Recent | None
    spool: Spool
    transcoder: Transcoder
    copies: Copies
    stopping: threading.Event


def process_name() -> str:
    """What this process is called in the ledger and at the broker."""
    return f"{socket.gethostname()}-{os.getpid()}"


def parts_of(
    site: Site, path: Path, *, name: str, ledger: Ledger, leads: Callable[[], bool]
) -> Parts:
    """Build them. `path`: the site's file; `leads`: whether it is ours to put files in force.

    DocumentError for rules with mistakes; LedgerError; OSError; TlsFailed."""
    rulebook = Rulebook(path, site, ledger=ledger, who=name, leads=leads)
    rulebook.open()
    # One process does it all: what it receives it reads, too.
    recent = Recent() if site.broker == "memory://" else None
    store = open_store(site, recent)
    transcoder = Transcoder(site.codecs)
    return Parts(
        site=site,
        name=name,
        ledger=ledger,
        rulebook=rulebook,
        broker=Broker(
            site.broker,
            lanes=site.lanes,
            lane_of=lambda of: _lane(rulebook.site(), of),
            tls=site.broker_tls,
        ),
        store=store,
        recent=recent,
        spool=Spool(store),
        transcoder=transcoder,
        copies=Copies(transcoder),
        stopping=threading.Event(),
    )


def ingress(parts: Parts, guests: Mapping[str, Guests] | None) -> Ingress:
    """What receives. `guests`: where other processes share the listeners."""
    spool = open_spool(parts.site, parts.spool, parts.recent)
    site = parts.rulebook.site
    scp = CommitmentScp(ledger=parts.ledger, site=site, terms=terms_of(site))
    services: dict[str, Service] = {PUSH: scp}
    if parts.site.performed_steps is not None:
        services[MPPS] = PerformedScp(ledger=parts.ledger, site=site)
    made = Ingress(
        parts.site,
        ledger=parts.ledger,
        broker=parts.broker,
        spool=spool,
        node=spool.node or str(parts.site.spool_path)[-128:],
        store=parts.store,
        guests=guests,
        services=services,
    )
    parts.rulebook.when_site_changes(lambda now: made.admit(now.sources))
    return made


def routing_task(parts: Parts) -> RoutingTask:
    """What a routing ticket sets off."""
    routing = Routing(
        ledger=parts.ledger,
        spool=parts.spool,
        rules=parts.rulebook.table,
        policy=_policy(parts.site),
        transcoder=parts.transcoder,
        observer=Shadow(parts.rulebook.shadow, parts.ledger),
    )
    parts.rulebook.when_site_changes(lambda now: routing.decide_by(_policy(now)))
    return RoutingTask(routing, parts.broker)


def egress_task(parts: Parts, pool: Pool) -> EgressTask:
    """What an egress ticket sets off."""
    task = EgressTask(
        destinations=parts.rulebook.site().destinations,
        ledger=parts.ledger,
        store=parts.store,
        pool=pool,
        broker=parts.broker,
        worker=parts.name,
        stop=parts.stopping.is_set,
        most=parts.site.egress_workers,
        copies=parts.copies,
    )
    parts.rulebook.when_site_changes(lambda now: task.serve(now.destinations))
    return task


def terms_of(site: Callable[[], Site]) -> Terms:
    """What is agreed with a destination about commitment, as the site says now."""

    def terms(name: str) -> DestinationCommitment:
        destination = site().destination(name)
        return (destination and destination.commitment) or DestinationCommitment()

    return terms


def commitment_task(parts: Parts) -> CommitmentTask:
    """What a commitment ticket sets off."""
    return CommitmentTask(
        site=parts.rulebook.site,
        ledger=parts.ledger,
        store=parts.store,
        broker=parts.broker,
        terms=terms_of(parts.rulebook.site),
        worker=parts.name,
        stop=parts.stopping.is_set,
    )


def duties_of_commitment(parts: Parts) -> list[Duty]:
    """What the leader does for storage commitment."""
    ledger, broker, site = parts.ledger, parts.broker, parts.rulebook.site
    terms = terms_of(site)
    return [
        Duty(name="commit", every=1.0, act=lambda: ring_for_commitment(ledger, broker, site())),
        Duty(name="owed", every=30.0, act=lambda: ring_for_reports(ledger, broker, site())),
        Duty(name="unanswered", every=2.0, act=lambda: expire(ledger, terms)),
        Duty(name="unproven", every=60.0, act=lambda: measure_commitment(ledger, site())),
        Duty(name="old_requests", every=60.0, act=lambda: end_requests(ledger, site())),
        Duty(
            name="reconcile",
            every=2.0,
            act=lambda: ring_for_reconciliation(ledger, broker, site()),
        ),
        Duty(name="performed", every=5.0, act=partial(look_for_performed, ledger)),
        Duty(name="unreconciled", every=60.0, act=lambda: measure_reconciliation(ledger, site())),
        Duty(name="old_runs", every=60.0, act=lambda: end_old_runs(ledger, site())),
    ]


def duties_of_the_leader(parts: Parts) -> list[Duty]:
    """What one process does for the whole site."""
    ledger, broker, site = parts.ledger, parts.broker, parts.rulebook.site
    return [
        *duties_of_commitment(parts),
        Duty(name="sweep", every=1.0, act=partial(sweep, ledger, broker)),
        # Often, since what lost its ticket waits for it; seldom where there is much to ring for.
        Duty(name="orphans", every=3.0, act=partial(sweep_orphans, ledger, broker), share=0.05),
        Duty(
            name="idle",
            every=2.0,
            act=lambda: sweep_idle(ledger, broker, site().destination_names),
        ),
        Duty(name="bundles", every=1.0, act=partial(close_bundles, ledger, broker)),
        Duty(name="left_behind", every=10.0, act=partial(ring_left_behind, ledger, broker)),
        Duty(name="old_bundles", every=60.0, act=partial(drop_old_bundles, ledger)),
        Duty(name="move", every=2.0, act=Mover(ledger, broker).move),
        # Counting a backlog of millions takes the database most of a second.
        Duty(name="measure", every=10.0, act=lambda: measure(ledger, site()), share=0.01),
        Duty(name="end_history", every=10.0, act=lambda: _end_history(ledger, site())),
        Duty(name="audit", every=10.0, act=AuditWatch(ledger).look),
    ]


def duties_at_the_store(parts: Parts) -> list[Duty]:
    """What the same process does with the store, in a thread of its own: one that is away may keep
    it waiting for long, and the leader's lease does not wait."""
    ledger, store, site = parts.ledger, parts.store, parts.rulebook.site
    duties = [
        Duty(
            name="forget",
            every=10.0,
            act=lambda: forget(ledger, store, keep_ms=int(site().retention.delivered * 1000)),
        )
    ]
    if parts.site.spool_is_apart:
        strays = Strays(ledger, store, read=read_spooled)
        duties.append(Duty(name="strays", every=30.0, act=strays.look))
    return duties


def _end_history(ledger: Ledger, site: Site) -> None:
    if site.retention.history is not None:
        end_history(ledger, keep_ms=int(site.retention.history * 1000))


def duties_at_home(parts: Parts, pool: Pool) -> list[Duty]:
    """What every process does for itself."""

    def free_bytes() -> None:
        with suppress(FileNotFoundError):  # nothing is received here
            metrics.FREE_BYTES.set(free_bytes_of(parts.site.spool_path))

    duties = [
        Duty(name="pool", every=1.0, act=lambda: pool.reap(time.monotonic())),
        Duty(name="copies", every=10.0, act=parts.copies.end_old),
        Duty(name="free_bytes", every=10.0, act=free_bytes),
    ]
    if (recent := parts.recent) is not None:
        duties.append(Duty(name="recent", every=10.0, act=lambda: recent.let_go(UNREAD_SECONDS)))
    return duties


def _policy(site: Site) -> Policy:
    return Policy(
        on_no_match=site.on_no_match,
        ignore_identical=site.duplicates == "ignore identical",
        loops=site.loops,
        vault=site.vault,
    )


def _lane(site: Site, destination: str) -> str | None:
    found = site.destination(destination)
    return None if found is None else found.lane

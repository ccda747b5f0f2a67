"""The receiving side of a site: its listeners, the spool behind them, and intake."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from router import metrics
from router.broker import Broker
from router.config import Listener, Site, Source
from router.dicom.limits import Timers
from router.ingress.guests import Guests
from router.ingress.intake import Intake
from router.ingress.scp import StorageScp
from router.ingress.space import SpaceGuard
from router.ingress.storing import ObjectSink
from router.ledger import Ledger, LedgerError, objects
from router.logs import get_logger
from router.net.acceptor import Acceptor
from router.net.connection import Patience
from router.net.services import Service
from router.net.tls import listener_context
from router.net.turns import Turns
from router.store import Spool, Store

INTAKE_SECONDS = 10.0
"""How long a stop waits for intake; what is left is taken in at the next start."""

log = get_logger("ingress")


class Ingress:
    """All listeners of one process. `start`, then `stop`."""

    def __init__(
        self,
        site: Site,
        *,
        ledger: Ledger,
        broker: Broker,
        spool: Spool,
        node: str,
        store: Store | None = None,
        guests: Mapping[str, Guests] | None = None,
        services: Mapping[str, Service] | None = None,
    ) -> None:
        """`store`: where objects are carried from the spool, if that is not it. `guests`: by
        listener, where other processes of this machine share its port and its limits.
        `services` beyond storage, by SOP class UID."""
        self._ledger = ledger
        self._spool = spool
        self.admit(site.sources)
        urgencies = {listener.name: listener.priority for listener in site.listeners}
        self._intake = Intake(
            ledger=ledger,
            broker=broker,
            spool=spool,
            node=node,
            urgencies=urgencies,
            store=store,
        )
        self._space = SpaceGuard(
            free_bytes=spool.store.free_bytes,
            clock=time.monotonic,
            low=site.free_space.low,
            high=site.free_space.high,
        )
        shared = site.durability == "shared"
        sink = ObjectSink(
            spool=spool,
            space=self._space,
            durable=site.durability != "unsafe",
            refuses=self._came_before if site.duplicates == "refuse" else None,
            submit=self._intake.submit_carried if shared else self._intake.submit,
            secure=self._intake.secure if shared else None,
        )
        turns = Turns()  # one for all: so is the interpreter
        self.acceptors = {
            listener.name: _acceptor(
                listener,
                StorageScp(
                    listener=listener,
                    sources=self._sources_now,
                    sink=sink,
                    guests=None if guests is None else guests[listener.name],
                    services=services,
                ),
                reuse_port=guests is not None,
                turns=turns,
            )
            for listener in site.listeners
        }

    def admit(self, sources: Sequence[Source]) -> None:
        """These may send from now on; associations that are open stay open."""
        self._sources = tuple(sources)
        for source in self._sources:
            metrics.SOURCE_ASSOCIATIONS.labels(source.name)  # one that never came is at 0

    def _sources_now(self) -> tuple[Source, ...]:
        return self._sources

    def start(self) -> None:
        """Take in what an earlier run left, and listen. OSError if a port is taken."""
        for name, acceptor in self.acceptors.items():
            try:
                acceptor.start()
            except OSError as error:
                raise OSError(error.errno, f"listener {name}: {error.strerror}") from None
        self._intake.start()
        self._space.has_room()  # a disk that is full already is told of before anybody sends

    def stop(self, drain_seconds: float) -> None:
        """Take no new associations, let those that are open end, and settle the rest."""
        for acceptor in self.acceptors.values():
            acceptor.stop()
        deadline = time.monotonic() + drain_seconds
        for name, acceptor in self.acceptors.items():
            left = acceptor.drain(max(0.0, deadline - time.monotonic()))
            if left:
                log.warning("associations aborted at the end", listener=name, count=left)
            acceptor.close()
        if not self._intake.stop(INTAKE_SECONDS):
            log.warning("ledger or store away; the spool is taken in at the next start")
        self._spool.close()

    def _came_before(self, sop_instance_uid: str) -> bool:
        """Whether the ledger knows this SOP instance; where it cannot say, the object may come."""
        try:
            with self._ledger.read() as connection:
                return objects.is_known(connection, sop_instance_uid)
        except LedgerError:
            return False


def _acceptor(listener: Listener, scp: StorageScp, *, reuse_port: bool, turns: Turns) -> Acceptor:
    timeouts = listener.timeouts
    return Acceptor(
        host=listener.bind,
        port=listener.port,
        serve=scp.serve,
        tls=None if listener.tls is None else listener_context(listener.tls),
        timers=Timers(artim=timeouts.artim),
        patience=Patience(idle=timeouts.idle, network=timeouts.network),
        reuse_port=reuse_port,
        turns=turns,
        name=listener.name,
    )

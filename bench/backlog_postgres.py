"""A weekend's backlog on PostgreSQL: `python -m bench.backlog_postgres`.

Two million deliveries wait for a dead archive. By turns with an empty ledger: the rate at which a
live destination gets what comes in. Then the archive is back: the rate at which it gets the
backlog, by turns with a backlog as small as what is counted. Durable commits; CPU of the router
and of the database's server for each object.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL

from bench import contestants
from bench.live import LiveSite, dicom, start_site
from bench.processes import free_port, usage_of
from bench.scenarios import _folder, clean_up
from router.ledger import Ledger
from tests.servers import PostgreSql

SERVER = "-c max_wal_size=4GB -c shared_buffers=256MB"
_OBJECTS = """
INSERT INTO objects (id, received_at, recorded_at, sop_class_uid, sop_instance_uid,
    transfer_syntax_uid, study_instance_uid, series_instance_uid, patient_id, size,
    data_set_offset, checksum, state, routed_at, rules_version, priority, generation)
SELECT lpad(to_hex(i), 32, '0'), 1700000000000 + i, 1700000000000 + i, sop_class_uid,
    '2.25.1.' || i, transfer_syntax_uid, '2.25.2.' || (i / 200), '2.25.3.' || (i / 50),
    'P' || (i / 300), size, data_set_offset, checksum, 'routed', 1700000000000 + i, 'v1', 2, 0
FROM generate_series(1::bigint, {count}) i, (SELECT * FROM objects LIMIT 1) template
"""
_DELIVERIES = """
INSERT INTO deliveries (object_id, payload_id, destination, route, rules_version, priority, state,
    attempts, next_attempt_at, created_at, owed_since, generation)
SELECT lpad(to_hex(i), 32, '0'), template.id, 'dead', 'all', 'v1', 2, 'waiting', 0,
    1700000000000 + i, 1700000000000 + i, 1700000000000 + i, 0
FROM generate_series(1::bigint, {count}) i,
    (SELECT id FROM objects ORDER BY id DESC LIMIT 1) template
"""
_BACK = "UPDATE destinations SET state = 'up', next_probe_at = NULL, probe_until = NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Objects a second; milliseconds of CPU for each, of the router and of the database."""

    rate: float
    router_ms: float
    database_ms: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s at {self.router_ms:.2f} + {self.database_ms:.2f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A ledger, and the store with the one object that is owed over and over."""

    server: PostgreSql
    url: URL
    store: Path

    @contextmanager
    def site(self, archive: int) -> Iterator[LiveSite]:
        """A router at work here, whose destination `dead` is at this port."""
        url = self.url.render_as_string(hide_password=False)
        settings = {"ledger": url, "store": f"file:{self.store}"}
        with _folder() as folder:
            site = start_site(folder, [dicom("dead", archive, associations=4)], settings=settings)
            try:
                yield site
            finally:
                site.stop()

    def execute(self, *statements: str) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            for statement in statements:
                conn.execute(text(statement))
        engine.dispose()

    def owe(self, count: int) -> None:
        """So many deliveries to the dead archive, all of the object that is in the store."""
        self.execute(_OBJECTS.format(count=count), _DELIVERIES.format(count=count))
        # What autovacuum and checkpoints did while the backlog grew over a weekend.
        self.execute("VACUUM ANALYZE", "CHECKPOINT")


def new_place(server: PostgreSql, folder: Path, name: str, kind: str) -> Place:
    """A ledger with one object that was delivered."""
    place = Place(server=server, url=server.new_database(), store=folder / name)
    ledger = Ledger(place.url)
    ledger.upgrade()
    ledger.dispose()
    with place.site(free_port()) as site:
        site.play(1, kind, 1)
        time.sleep(1)  # until its outcome is recorded
    return place


def live(place: Place, count: int, kind: str) -> Rate:
    """What a live destination gets while nobody answers at the archive."""
    with place.site(free_port()) as site:
        site.play(50, kind, 1)
        began = usage_of(place.server.pid).cpu
        played = site.play(count, kind, 1)
        database = usage_of(place.server.pid).cpu - began
    return Rate(rate=played.rate, router_ms=played.cpu_ms, database_ms=database * 1000 / count)


def drained(place: Place, count: int) -> Rate:
    """What the archive gets of its backlog once it is back."""
    with _folder() as folder:
        archive = contestants.null_receiver(folder)
        place.execute(_BACK)
        receiver = LiveSite(folder, archive.process, archive.port, archive.process, 0.0)
        try:
            with place.site(archive.port) as site:
                first, began = _wait(receiver, count // 10)
                cpu, server = site.router.usage().cpu, usage_of(place.server.pid).cpu
                last, ended = _wait(receiver, count)
                cpu = site.router.usage().cpu - cpu
                server = usage_of(place.server.pid).cpu - server
        finally:
            archive.process.stop()
    sent = last - first
    return Rate(
        rate=sent / (ended - began), router_ms=cpu * 1000 / sent, database_ms=server * 1000 / sent
    )


def _wait(receiver: LiveSite, count: int) -> tuple[int, float]:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        arrived, at = receiver.arrived()
        if arrived >= count:
            return arrived, at
        time.sleep(0.02)
    raise SystemExit(f"only {receiver.arrived()[0]} of {count} arrived")


def told(name: str, with_it: list[Rate], without: list[Rate]) -> str:
    ratios = [one.rate / other.rate for one, other in zip(with_it, without, strict=True)]
    return (
        f"{name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of the "
        f"rate without; medians {_median(with_it)} with, {_median(without)} without"
    )


def _median(rates: list[Rate]) -> Rate:
    return Rate(
        rate=statistics.median(one.rate for one in rates),
        router_ms=statistics.median(one.router_ms for one in rates),
        database_ms=statistics.median(one.database_ms for one in rates),
    )


def play(server: PostgreSql, folder: Path, chosen: argparse.Namespace) -> None:
    """Both halves, by turns."""
    full = new_place(server, folder, "full", chosen.kind)
    empty = new_place(server, folder, "empty", chosen.kind)
    began = time.monotonic()
    full.owe(chosen.waiting)
    print(f"{chosen.waiting:,} deliveries owed in {time.monotonic() - began:.0f} s", flush=True)
    figures: dict[str, list[Rate]] = {"live": [], "live alone": [], "backlog": [], "small": []}
    for number in range(chosen.rounds + 1):
        one, two = live(empty, chosen.count, chosen.kind), live(full, chosen.count, chosen.kind)
        print(f"live: {one} alone, {two} beside the backlog", flush=True)
        if number:
            figures["live alone"].append(one)
            figures["live"].append(two)
    for number in range(chosen.drains):
        few = new_place(server, folder, f"few{number}", chosen.kind)
        few.owe(chosen.drain + chosen.drain // 4)
        one, two = drained(few, chosen.drain), drained(full, chosen.drain)
        print(f"drained: {one} of few, {two} of {chosen.waiting:,}", flush=True)
        figures["small"].append(one)
        figures["backlog"].append(two)
    if figures["live"]:
        print(told("a live destination", figures["live"], figures["live alone"]))
    if figures["backlog"]:
        print(told("the backlog's drain", figures["backlog"], figures["small"]))


def main() -> None:
    """Play and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.backlog_postgres", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drains", type=int, default=3, help="rounds of the second half")
    parser.add_argument("--waiting", type=int, default=2_000_000)
    parser.add_argument("--count", type=int, default=2000, help="objects to the live destination")
    parser.add_argument("--drain", type=int, default=5000, help="deliveries of the backlog to time")
    parser.add_argument("--kind", choices=["ct", "small"], default="small")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="backlog-"))
    stores = Path(tempfile.mkdtemp(prefix="backlog-stores-"))
    try:
        server = PostgreSql(folder)
        server.start(fsync=True, settings=SERVER)
        try:
            play(server, stores, chosen)
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(stores, ignore_errors=True)
        clean_up()


if __name__ == "__main__":
    main()

"""End to end on PostgreSQL and RabbitMQ, beside the embedded router: `python -m bench.cluster`.

One run, by turns: the embedded router, then clusters of more and more processes. The rate from the
blaster to the null receiver, and where the CPU of an object goes: each role, database and broker.
Then what a ticket costs: its share of all that. Durable commits everywhere.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import contestants
from bench.live import LiveSite, dicom, start_site
from bench.processes import Measured, free_port, usage_of
from bench.scenarios import _folder, clean_up
from router.broker import Broker
from router.ledger import Ledger
from router.store import new_object_id
from router.tickets import RoutingTicket
from tests.servers import PostgreSql, RabbitMq, rabbitmq

SHAPES = {"1+1+1": (1, 1, 1), "1+1+2": (1, 1, 2), "2+2+4": (2, 2, 4)}
"""Processes of ingress, rules and egress; a conductor goes with each."""
TICKETS = 400
_RECEIVED = re.compile(r"messages_received_total\s*=>\s*(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Of one run, shared by all clusters; each has a database and a virtual host of its own."""

    database: PostgreSql
    broker: RabbitMq

    def tickets(self) -> int:
        """How many messages the broker has ever taken."""
        told = self.broker.control("eval", "rabbit_global_counters:overview().")
        return sum(map(int, _RECEIVED.findall(told)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Objects a second; milliseconds of CPU for each object, by who spent them."""

    rate: float
    cpu: Mapping[str, float]
    tickets: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.cpu.values())

    def __str__(self) -> str:
        parts = " ".join(f"{name} {spent:.2f}" for name, spent in self.cpu.items())
        return f"{self.rate:.0f}/s at {self.total:.2f} ms ({parts}; {self.tickets:.3f} tickets)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A site on several processes, and what feeds and follows it."""

    site: LiveSite
    roles: Mapping[str, list[Measured]]
    servers: Servers
    broker_url: str

    def cpu(self) -> dict[str, float]:
        """Seconds so far."""
        spent = {
            role: sum(process.usage().cpu for process in processes)
            for role, processes in self.roles.items()
        }
        spent["database"] = usage_of(self.servers.database.pid).cpu
        spent["broker"] = usage_of(self.servers.broker.pid).cpu
        return spent

    def play(self, chosen: argparse.Namespace) -> Figures:
        """Send, wait until all has arrived, and tell what it cost."""
        before, tickets = self.cpu(), self.servers.tickets()
        played = self.site.play(chosen.count, chosen.kind, chosen.associations)
        after = self.cpu()
        return Figures(
            rate=played.rate,
            cpu={name: (after[name] - before[name]) * 1000 / chosen.count for name in after},
            tickets=(self.servers.tickets() - tickets) / chosen.count,
        )

    def ticket_ms(self) -> float:
        """CPU of one ticket, from its publisher to its task's end, the broker's included: of
        tickets for objects that nobody knows, each by itself."""
        broker = Broker(self.broker_url)
        ours, before = time.process_time(), self.cpu()
        for _ in range(TICKETS):
            broker.publish(RoutingTicket(object_ids=(new_object_id(),)))
        ours = time.process_time() - ours
        while any(depth.tickets for depth in broker.depths()):
            time.sleep(0.05)
        time.sleep(0.5)  # the last ones in hand
        after = self.cpu()
        broker.close()
        return (
            (ours + sum(after[name] - before[name] for name in ("rules", "broker")))
            * 1000
            / TICKETS
        )


@contextmanager
def cluster(servers: Servers, shape: tuple[int, int, int]) -> Iterator[Cluster]:
    """Run one, with a null receiver as its destination, until the block ends."""
    database = servers.database.new_database()
    ledger = Ledger(database)
    ledger.upgrade()
    ledger.dispose()
    url = servers.broker.new_host()
    started: list[Measured] = []
    with _folder() as folder:
        receiver = contestants.null_receiver(folder)
        port = free_port()
        site = {
            "listeners": [{"name": "main", "ae_title": "ROUTER", "port": port}],
            "destinations": [dicom("live", receiver.port, associations=4)],
            "ledger": database.render_as_string(hide_password=False),
            "broker": url,
            "spool": "var/spool",
            "metrics": "off",
            "log": {"level": "error"},
            "free_space": {"low": "1GB", "high": "1GB"},
        }
        (folder / "rules").mkdir()
        route = {"name": "all", "when": {"Modality": "CT"}, "send_to": ["live"]}
        (folder / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": [route]}))
        (folder / "site.yaml").write_text(yaml.safe_dump(site))
        try:
            receiving, deciding, sending = shape
            ingress = f"ingress --processes {receiving}"
            roles = {
                "ingress": [_role(folder, ingress, 0, started)],
                "rules": [_role(folder, "worker rules", n, started) for n in range(deciding)],
                "egress": [_role(folder, "worker egress", n, started) for n in range(sending)],
                "conductor": [_role(folder, "conductor", 0, started)],
            }
            for process in started:
                _wait_until_ready(process)
            live = LiveSite(folder, roles["ingress"][0], port, receiver.process, 0.0)
            yield Cluster(site=live, roles=roles, servers=servers, broker_url=url)
        finally:
            for process in started:
                process.stop()
            receiver.process.stop()


def _role(folder: Path, words: str, number: int, started: list[Measured]) -> Measured:
    name = f"{words.replace(' ', '-')}-{number}"
    command = [sys.executable, "-m", "workers", *words.split(), "--config", folder / "site.yaml"]
    started.append(Measured(command, Path.cwd(), name=str(folder / name)))
    return started[-1]


def _wait_until_ready(process: Measured) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.process.poll() is None:
        if "ready" in process.log.read_text().splitlines():
            return
        time.sleep(0.05)
    raise SystemExit(f"not ready:\n{process.log.read_text()[-2000:]}")


def embedded(chosen: argparse.Namespace) -> Figures:
    """The same end to end, in one process on SQLite."""
    with _folder() as folder:
        site = start_site(folder)
        try:
            site.play(chosen.warm, chosen.kind, chosen.associations)
            played = site.play(chosen.count, chosen.kind, chosen.associations)
        finally:
            site.stop()
    return Figures(rate=played.rate, cpu={"router": played.cpu_ms})


def play(servers: Servers, chosen: argparse.Namespace) -> None:
    """All by turns; then what a ticket costs."""
    figures: dict[str, list[Figures]] = {"embedded": [], **{name: [] for name in SHAPES}}
    ticket = 0.0
    for _ in range(chosen.rounds):
        for name, seen in figures.items():
            if name == "embedded":
                seen.append(embedded(chosen))
            else:
                with cluster(servers, SHAPES[name]) as one:
                    one.site.play(chosen.warm, chosen.kind, chosen.associations)
                    seen.append(one.play(chosen))
                    ticket = ticket or one.ticket_ms()
            print(f"{name}: {seen[-1]}", flush=True)
    print("\n| processes | objects/s | of the embedded | CPU ms for each object | tickets' share |")
    print("|---|---|---|---|---|")
    for name, seen in figures.items():
        print(_line(name, seen, figures["embedded"], ticket))
    print(f"\na ticket costs {ticket:.2f} ms of CPU, the broker's included")


def _line(name: str, seen: list[Figures], beside: list[Figures], ticket: float) -> str:
    rate = statistics.median(one.rate for one in seen)
    ratio = statistics.median(one.rate / two.rate for one, two in zip(seen, beside, strict=True))
    spent = {part: statistics.median(one.cpu[part] for one in seen) for part in seen[0].cpu}
    tickets = statistics.median(one.tickets for one in seen) * ticket
    parts = ", ".join(f"{part} {ms:.2f}" for part, ms in spent.items())
    share = f"{tickets / sum(spent.values()):.1%}" if tickets else ""
    return f"| {name} | {rate:.0f} | {ratio:.2f} | {sum(spent.values()):.2f}: {parts} | {share} |"


def main() -> None:
    """Play and tell."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--warm", type=int, default=200, help="objects before the clock starts")
    parser.add_argument("--associations", type=int, default=4)
    parser.add_argument("--kind", choices=["ct", "small"], default="ct")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cluster-postgresql-"))
    database = PostgreSql(folder)
    try:
        database.start(fsync=True)
        with rabbitmq() as broker:
            play(Servers(database=database, broker=broker), chosen)
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)
        clean_up()


if __name__ == "__main__":
    main()

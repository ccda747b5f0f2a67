"""A cluster loses what it stands on: RabbitMQ, its queues, PostgreSQL, workers, the conductor.

Under load, and modalities see none of it; whatever was acknowledged arrives afterwards, and what
arrived twice is counted. FAULT_SECONDS is how long a server stays away (60 for the long way),
FAULT_ROUNDS how many workers are killed (20).
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.modality import Modality, slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.recording import Answer, RecordingScp
from tests.faults.router_under_test import Cluster, RouterUnderTest, dicom, pause
from tests.programs import missing, wait_until
from tests.servers import PostgreSql, RabbitMq, Servers, postgresql, rabbitmq
from tests.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

AWAY = float(os.environ.get("FAULT_SECONDS", "4"))
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "4"))
REPEATED_PER_KILL = 2 * 65
"""Two associations, and at most 64 outcomes and the object in hand that were not recorded."""
TAKEOVER_SECONDS = 15


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMq]:
    with rabbitmq() as server:
        yield server


@pytest.fixture(scope="module")
def ledger() -> Iterator[PostgreSql]:
    with postgresql() as server:
        yield server


ROLES = ("conductor", "ingress", "worker rules", "worker egress", "conductor")


@dataclass
class Running:
    """A cluster, with one destination that keeps count."""

    router: RouterUnderTest
    pacs: RecordingScp


@pytest.fixture(scope="module")
def cluster(
    broker: RabbitMq, ledger: PostgreSql, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One for all tests that leave it as they found it."""
    servers = Servers(broker, ledger)
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path_factory.mktemp("cluster") / "site",
            destinations=[dicom("pacs", pacs.port)],
            routes=[{"name": "all", "send_to": ["pacs"]}],
            cluster=Cluster(ledger=servers.ledger, broker=servers.broker, roles=ROLES),
        ) as router,
    ):
        yield Running(router, pacs)


class Site:
    """The cluster under load."""

    def __init__(self, running: Running, modality: Modality) -> None:
        self.router = running.router
        self.pacs = running.pacs
        self.modality = modality
        self.repeated = 0
        """How often an object arrived once more than it was owed; known at the end."""

    @property
    def acknowledged(self) -> dict[str, bytes]:
        return self.modality.acknowledged.data_sets

    def flows(self, seconds: float = 60.0) -> None:
        """Until objects that were acknowledged from now on have arrived."""
        before = len(self.pacs.arrivals.data_sets)
        wait_until(
            lambda: len(self.pacs.arrivals.data_sets) > before + 20, "objects to flow", seconds
        )

    def receives(self) -> None:
        """Until more objects are acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) > before + 20, "objects to be acknowledged", 10)

    def delivers_by(self, cable: TcpProxy) -> None:
        """Until the added egress worker delivers: the other one, which otherwise may have every
        place under load, is stopped for so long."""
        before, near = cable.connections, ROLES.index("worker egress")
        self.router.programs[near].stop()
        wait_until(lambda: cable.connections > before, "a delivery by cable", 90)
        self.router.programs[near] = self.router.launch("worker egress")
        self.router.programs[near].wait_for_line(r"^ready$", 60)

    def more(self, role: str, **how: Any) -> None:
        """One more process, until the test has ended."""
        self.router.programs.append(self.router.launch(role, **how))
        self.router.programs[-1].wait_for_line(r"^ready$", 60)


_tests = itertools.count()


@contextmanager
def under_load(running: Running) -> Iterator[Site]:
    """At the end all that was acknowledged must have arrived, and processes that the test added
    are stopped."""
    router, pacs = running.router, running.pacs
    arrived, owed = pacs.arrivals.total, router.count(DELIVERED)
    processes = len(router.programs)
    with Modality(router.port, threads=1, pause=0.01, first=next(_tests) * 10**6) as modality:
        site = Site(running, modality)
        site.flows()
        yield site
        site.flows(90)
    for extra in router.programs[processes:]:
        extra.stop()
    del router.programs[processes:]
    wait_until(lambda: site.acknowledged.keys() <= pacs.arrivals.data_sets.keys(), "all of them")
    router.wait_until_settled(())  # afterwards: what has arrived is recorded a little later
    for uid, data in site.acknowledged.items():
        assert set(pacs.arrivals.data_sets[uid]) == {data}
    assert not modality.acknowledged.refused
    came = pacs.arrivals.total - arrived
    site.repeated = came - (router.count(DELIVERED) - owed)
    print(f"\n{len(site.acknowledged)} acknowledged, {came} arrivals, {site.repeated} sent twice")


DELIVERED = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"


def test_rabbitmq_is_killed_and_back_after_a_while(cluster: Running, broker: RabbitMq) -> None:
    with under_load(cluster) as site:
        broker.kill()
        site.receives()
        pause(AWAY)
        site.receives()
        broker.start()
        site.flows()
    assert not site.modality.errors
    assert site.repeated == 0


def test_all_queues_and_what_was_in_them_are_lost(cluster: Running, broker: RabbitMq) -> None:
    with under_load(cluster) as site:
        site.receives()
        broker.forget(site.router.broker)
        site.receives()
        site.flows()
    assert not site.modality.errors
    assert site.repeated == 0


def test_postgresql_is_killed_and_back_after_a_while(cluster: Running, ledger: PostgreSql) -> None:
    with under_load(cluster) as site:
        ledger.kill()
        site.receives()
        pause(AWAY)
        site.receives()
        ledger.start()
        site.flows()
    assert not site.modality.errors


def test_workers_of_every_kind_are_killed(cluster: Running) -> None:
    chance = random.Random(20261121)
    kinds = ("worker rules", "worker egress", "conductor", "ingress")
    with under_load(cluster) as site:
        for number in range(ROUNDS):
            pause(chance.uniform(0.2, 1.0))
            site.router.replace(kinds[number % len(kinds)])
    assert site.repeated <= ROUNDS * REPEATED_PER_KILL


def test_another_conductor_takes_over(cluster: Running) -> None:
    sql = "SELECT owner FROM leaders WHERE name = 'conductor'"
    with under_load(cluster) as site:
        one, two = (site.router.programs[number] for number in (0, -1))
        ((before,),) = site.router.ask(sql)
        leader = one if str(before).endswith(f"-{one.pid}") else two
        began = time.monotonic()
        leader.kill()
        index = site.router.programs.index(leader)
        wait_until(lambda: site.router.ask(sql) != [(before,)], "another leader", TAKEOVER_SECONDS)
        print(f"another conductor led after {time.monotonic() - began:.1f} s")
        site.router.programs[index] = site.router.launch("conductor")
    assert not site.modality.errors


@pytest.mark.parametrize("peer", ["rabbitmq", "postgresql"])
def test_the_network_is_cut_between_workers_and_a_server(
    cluster: Running, broker: RabbitMq, ledger: PostgreSql, peer: str
) -> None:
    """A second worker of each kind reaches the server through a cable of its own."""
    port = broker.port if peer == "rabbitmq" else ledger.port
    with under_load(cluster) as site, TcpProxy(port) as cable:
        site.router.write_site(
            "cut.yaml", lambda text: text.replace(f":{port}/", f":{cable.port}/")
        )
        for role in ("worker rules", "worker egress"):
            site.more(role, site_file="cut.yaml")
        site.flows()
        cable.cut()
        site.receives()
        pause(AWAY)
        site.receives()
        cable.mend()
        site.flows()
    assert not site.modality.errors


def test_the_network_is_cut_between_an_egress_worker_and_a_destination(cluster: Running) -> None:
    """One worker reaches it through a cable of its own, the other directly."""
    port = cluster.pacs.port
    with under_load(cluster) as site, TcpProxy(port) as cable:
        site.router.write_site(
            "far.yaml", lambda text: text.replace(f"port: {port}\n", f"port: {cable.port}\n")
        )
        site.more("worker egress", site_file="far.yaml")
        site.delivers_by(cable)
        cable.cut()
        site.receives()
        pause(AWAY)
        site.receives()
        cable.mend()
        site.delivers_by(cable)
        site.flows()
    assert not site.modality.errors
    assert site.repeated <= REPEATED_PER_KILL


def test_a_worker_whose_clock_is_off_by_an_hour(cluster: Running) -> None:
    """One of each kind an hour ahead and one behind: only the time of the database counts."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        raise missing("libfaketime is not installed (scripts/install_peers.sh installs it)")
    preload = {"LD_PRELOAD": str(found[0]), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with under_load(cluster) as site:
        for role in ("worker rules", "worker egress", "conductor"):
            for off in ("+1h", "-1h"):
                site.more(role, environ={**preload, "FAKETIME": off})
        right = [number for number, role in enumerate(ROLES) if role != "ingress"]
        for number in right:
            site.router.programs[number].stop()  # the others must do all of it
        site.flows()
        pause(AWAY)
        site.flows()
        for number in right:
            site.router.programs[number] = site.router.launch(ROLES[number])
            site.router.programs[number].wait_for_line(r"^ready$", 60)
    assert not site.modality.errors
    assert site.repeated == 0


def test_a_destination_gets_no_more_associations_than_it_allows(
    tmp_path: Path, broker: RabbitMq, ledger: PostgreSql
) -> None:
    """Three workers want to serve it at once, again and again, and two associations are allowed."""
    servers, template = Servers(broker, ledger), slice_template()
    roles = ("conductor", "ingress", "worker rules", *["worker egress"] * 3)
    with (
        RecordingScp(lambda _uid: Answer(delay=0.01)) as pacs,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("pacs", pacs.port, associations=2, idle="30s")],
            routes=[{"name": "all", "send_to": ["pacs"]}],
            cluster=Cluster(ledger=servers.ledger, broker=servers.broker, roles=roles),
        ) as router,
        OneByOne(router.port) as line,
    ):
        for burst in range(1, 7):
            line.send_copies(template, 60)
            wait_until(lambda wanted=60 * burst: pacs.arrivals.total >= wanted, "a burst")  # type: ignore[misc]
            pause(1.3)  # a drain looks for more work for a second, then the next one comes anew
        print(f"{pacs.associations} associations, {pacs.most_at_once} at once")
        assert pacs.associations > 4, "the same two did it all"
        assert pacs.most_at_once == 2

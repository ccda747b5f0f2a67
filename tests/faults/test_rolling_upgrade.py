"""A rolling upgrade with a migration in it, under load: old and new code side by side.

Two processes receive, and a load balancer stands before them, which is told before one of them
ends: as on Kubernetes. Each series is an association of its own, as modalities send. So none of
them may see an error.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from router.ledger.migrations import NEWEST_REVISION
from tests.contracts.later_schema import LATER
from tests.faults.later_version import later_version
from tests.faults.modality import Modality
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import DICOM_ROUTER, Cluster, RouterUnderTest, dicom
from tests.programs import Program, free_port, wait_until
from tests.servers import Servers
from tests.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

SERIES = 10


class Upgrade:
    """The cluster, whose processes are replaced one by one."""

    def __init__(
        self, router: RouterUnderTest, pacs: RecordingScp, balancer: TcpProxy, later: dict[str, str]
    ) -> None:
        self.router = router
        self._pacs = pacs
        self._balancer = balancer
        self._later = later
        self._second_port = free_port()
        router.write_site(
            "second.yaml",
            lambda text: text.replace(f"port: {router.port}", f"port: {self._second_port}"),
        )

    def ledger(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The later version's `db`."""
        site = str(self.router.folder / "site.yaml")
        command = [str(DICOM_ROUTER), "db", *words, "--config", site]
        environ = {"PATH": "/usr/bin:/bin", **self._later}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    def flows(self) -> None:
        """Until objects that are received from now on have arrived."""
        before = len(self._pacs.arrivals.data_sets)
        wait_until(lambda: len(self._pacs.arrivals.data_sets) > before + 2 * SERIES, "objects", 60)

    def start(self, role: str, *, later: bool, site_file: str = "site.yaml") -> Program:
        """One process more, when it is ready."""
        environ = self._later if later else None
        program = self.router.launch(role, environ=environ, site_file=site_file)
        self.router.programs.append(program)
        program.wait_for_line(r"^ready$", 60)
        return program

    def end(self, program: Program) -> None:
        """In good order."""
        self.router.programs.remove(program)
        assert program.stop(60) == 0, program.output()[-4000:]

    def replace(self, role: str, *, later: bool) -> None:
        """A new one comes, works beside the old one for a while, then the old one goes."""
        old = next(one for one in self.router.programs if role in " ".join(one.command))
        self.start(role, later=later)
        self.flows()
        self.end(old)

    def replace_ingress(self, second: Program) -> None:
        """One after the other: a new one for the first, and then the second, old one ends."""
        router, first = self.router, next(p for p in self.router.programs if "ingress" in p.command)
        self._balancer.lead_to(self._second_port)
        self.end(first)
        self.start("ingress", later=True)
        self.flows()  # through the old one
        self._balancer.lead_to(router.port)
        self.end(second)
        self.flows()


def test_nothing_is_lost_while_old_and_new_code_work_on_a_later_schema(
    tmp_path: Path, all_servers: Servers
) -> None:
    later = later_version(tmp_path / "later")
    cluster = Cluster(ledger=all_servers.ledger, broker=all_servers.broker)
    with (
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("pacs", pacs.port)],
            routes=[{"name": "all", "send_to": ["pacs"]}],
            cluster=cluster,
        ) as router,
        TcpProxy(router.port) as balancer,
    ):
        upgrade = Upgrade(router, pacs, balancer, later)
        second = upgrade.start("ingress", later=False, site_file="second.yaml")
        with Modality(balancer.port, threads=2, pause=0.05, series=SERIES) as modality:
            upgrade.flows()
            refused = upgrade.ledger("check")
            assert refused.returncode != 0, "the new code would run on the old schema"
            done = upgrade.ledger("upgrade")
            assert f"from {NEWEST_REVISION} to revision {LATER}" in done.stdout, done
            upgrade.flows()
            upgrade.replace("worker rules", later=False)  # old code starts on the new schema
            for role in ("conductor", "worker rules", "worker egress"):
                upgrade.replace(role, later=True)
            upgrade.replace_ingress(second)
        acknowledged = modality.acknowledged.data_sets
        router.wait_until_settled(acknowledged)
        repeated = pacs.arrivals.total - len(pacs.arrivals.data_sets)
        print(f"\n{len(acknowledged)} acknowledged, {repeated} sent twice")
        for table in ("objects", "deliveries"):
            written = "SELECT count(*) FROM {} WHERE later_note {}"
            assert router.count(written.format(table, "= 'later'")) > 2 * SERIES
            assert router.count(written.format(table, "IS NULL")) > 2 * SERIES
        failed = "SELECT count(*) FROM deliveries WHERE state <> 'delivered'"
        assert router.count(failed) == 0
    assert acknowledged.keys() == pacs.arrivals.data_sets.keys()
    for uid, data in acknowledged.items():
        assert set(pacs.arrivals.data_sets[uid]) == {data}
    assert not modality.errors
    assert not modality.acknowledged.refused
    assert repeated == 0

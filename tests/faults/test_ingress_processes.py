"""Several processes receive on one port: they share its limits, and one that dies is replaced."""

from __future__ import annotations

import os
import signal
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from router.net.errors import NetError
from tests.faults.modality import Modality, slice_template
from tests.faults.one_by_one import OneByOne
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import Cluster, RouterUnderTest, dicom
from tests.programs import free_port, wait_until
from tests.servers import Servers

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

PROCESSES = 3
LIMIT = 4


class Site(RouterUnderTest):
    """A cluster whose first program is an ingress of several processes."""

    def __init__(self, folder: Path, servers: Servers, destination: int) -> None:
        port = free_port()
        receive = f"ingress --processes {PROCESSES}"
        super().__init__(
            folder,
            destinations=[dicom("pacs", destination)],
            forked=False,
            routes=[{"name": "all", "send_to": ["pacs"]}],
            cluster=Cluster(
                ledger=servers.ledger,
                broker=servers.broker,
                roles=(receive, "worker rules", "worker egress", "conductor"),
            ),
            listeners=[
                {"name": "main", "ae_title": "ROUTER", "port": port, "max_associations": LIMIT}
            ],
        )
        self.port = port

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return sorted({int(pid) for task in tasks for pid in task.read_text().split()}) or [
            int(pid) for pid in text.split()
        ]

    def page(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.metrics_port}/{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, start: str) -> float:
        lines = self.page("metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(start))

    def ready(self) -> bool:
        try:
            return self.page("ready") == "ok\n"
        except OSError:
            return False


def test_limits_metrics_and_a_process_that_is_killed(tmp_path: Path, all_servers: Servers) -> None:
    template = slice_template()
    with RecordingScp() as pacs, Site(tmp_path, all_servers, pacs.port) as site:
        wait_until(site.ready, "readiness")
        assert len(site.children()) == PROCESSES
        with ExitStack() as lines:
            open_lines = [lines.enter_context(OneByOne(site.port)) for _ in range(LIMIT)]
            for line in open_lines:
                line.send_copies(template)
            for _ in range(6):  # wherever the kernel puts it
                with pytest.raises(NetError):
                    OneByOne(site.port).__enter__()
            assert site.metric("dicom_router_associations_open{") == LIMIT
        stored = 'dicom_router_objects_received_total{listener="main",outcome="stored"}'
        assert site.metric(stored) == LIMIT

        with Modality(site.port, threads=3, pause=0.005) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(acknowledged) > 50, "some load")
            killed = site.children()[0]
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: killed not in site.children(), "its end")
            wait_until(site.ready, "another in its place")
            assert len(site.children()) == PROCESSES
            before = len(acknowledged)
            wait_until(lambda: len(acknowledged) > before + 50, "some more")
        site.wait_until_settled(acknowledged)
        assert acknowledged.keys() <= pacs.arrivals.data_sets.keys()
        wait_until(
            lambda: site.metric("dicom_router_associations_open{") == 0, "nobody to be counted"
        )
        children = site.children()
        assert site.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)

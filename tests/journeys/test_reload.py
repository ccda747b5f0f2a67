"""The rules change while objects come in: whole or not at all, and nothing is lost by it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml
from pydicom.data import get_testdata_file

from tests.faults.router_under_test import RouterUnderTest
from tests.programs import dicom_router, wait_until

pytestmark = pytest.mark.journey

CT = str(get_testdata_file("CT_small.dcm"))
BY_ROUTE = "SELECT route, rules_version, destination FROM deliveries ORDER BY id"


class Site(RouterUnderTest):
    """With folders as destinations, so that nothing else has to run."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder,
            destinations=[self.place("one"), self.place("two")],
            routes=[{"name": "first", "send_to": "one"}],
            retention={"delivered": "1h"},
            loops={"receptions": 1000},
        )

    @staticmethod
    def place(name: str) -> dict[str, object]:
        return {"name": name, "folder": {"path": name}}

    def write_rules(self, text: str) -> None:
        (self.folder / "rules" / "10.yaml").write_text(text)

    def send(self, *, calling: str = "CT01") -> int:
        """One object; the exit code of `send`."""
        where = ["--to", f"127.0.0.1:{self.port}", "--called", "ROUTER", "--as", calling]
        return dicom_router("send", *where, CT).returncode

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return dicom_router(*words, "-c", self.folder / "site.yaml")

    def metric(self, name: str) -> float:
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        lines = urllib.request.urlopen(url).read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))

    def in_force(self) -> str:
        sql = "SELECT version FROM rule_activations ORDER BY serial DESC LIMIT 1"
        ((version,),) = self.ask(sql)
        return str(version)

    def deliveries(self, count: int) -> list[tuple[object, ...]]:
        sql = "SELECT count(*) FROM deliveries WHERE state = 'delivered'"
        wait_until(lambda: self.count(sql) == count, f"{count} deliveries")
        return self.ask(BY_ROUTE)

    def all_say(self, words: str) -> None:
        """Every process of the site has a line like this in its log."""
        for program in self.programs:
            program.wait_for_line(words)

    def said(self, words: str) -> int:
        """How many lines like this are in the logs."""
        return sum(len(re.findall(words, program.output())) for program in self.programs)


def test_rules_and_destinations_change_while_it_runs(tmp_path: Path) -> None:
    router = Site(tmp_path)
    with router:
        first = router.in_force()
        assert router.send() == 0
        router.deliveries(1)

        router.write_rules("routes: [{name: broken, send_to: nowhere}]\n")
        router.all_say(r"10\.yaml:1:25: .*there is no destination nowhere")
        wait_until(lambda: router.metric("dicom_router_files_refused") == 1, "the metric")
        assert router.send() == 0
        assert router.in_force() == first

        site = yaml.safe_load((tmp_path / "site.yaml").read_text())
        site["destinations"].append(router.place("nowhere"))
        (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
        wait_until(lambda: router.in_force() != first, "the new rules")
        router.all_say(r"rules in force .*before=[0-9a-f]")
        assert router.send() == 0
        rows = router.deliveries(3)
        second = router.in_force()
        assert rows == [
            ("first", first, "one"),
            ("first", first, "one"),
            ("broken", second, "nowhere"),
        ]
        assert len(list((tmp_path / "nowhere").rglob("*.dcm"))) == 1

        site["sources"] = [{"name": "mr", "ae_title": "MR01"}]
        (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
        wait_until(lambda: router.send() == 1, "the scanner to be refused")
        assert router.send(calling="MR01") == 0


def test_a_rollback_lasts_until_the_files_are_asked_for(tmp_path: Path) -> None:
    router = Site(tmp_path)
    with router:
        first = router.in_force()
        router.write_rules("routes: [{name: second, send_to: two}]\n")
        wait_until(lambda: router.in_force() != first, "the new rules")
        second = router.in_force()
        router.all_say(r"rules in force .*before=[0-9a-f]")
        assert router.command("rules", "rollback", first[:6]).returncode == 0
        router.all_say("rules in force .*source=rollback")
        assert router.metric("dicom_router_rules_rolled_back") == 1
        assert router.send() == 0
        router.deliveries(1)
        before = router.said("rules in force .*source=files")
        os.kill(router.pid, signal.SIGHUP)
        wait_until(
            lambda: router.said("rules in force .*source=files") == before + len(router.programs),
            "all processes to follow",
        )
        assert router.metric("dicom_router_rules_rolled_back") == 0
        assert router.send() == 0
        rows = router.deliveries(2)
    assert rows == [("first", first, "one"), ("second", second, "two")]

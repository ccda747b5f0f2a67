"""What a role of a cluster refuses to start on, and says why."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.programs import dicom_router

SITE = """
listeners: [{{name: main, ae_title: ROUTER, port: 0}}]
broker: {broker}
metrics: off
"""
AMQP = "amqp://guest:hush@127.0.0.1:1/"
ROLES = (["ingress"], ["worker", "rules"], ["worker", "egress"], ["conductor"])


def start(folder: Path, broker: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "rules").mkdir()
    (folder / "site.yaml").write_text(SITE.format(broker=broker))
    return dicom_router(*words, "--config", folder / "site.yaml")


@pytest.mark.parametrize("role", ROLES, ids=" ".join)
def test_a_broker_that_nobody_else_reaches(role: list[str], tmp_path: Path) -> None:
    ended = start(tmp_path, "memory://", *role)
    assert ended.returncode == 2
    assert "one role alone needs a broker that the others can reach" in ended.stderr


def test_a_ledger_without_its_schema(tmp_path: Path) -> None:
    ended = start(tmp_path, AMQP, "conductor")
    assert ended.returncode == 3
    assert "run `dicom-router db upgrade`" in ended.stderr
    assert "hush" not in ended.stderr + ended.stdout


def test_a_lane_that_is_not_there(tmp_path: Path) -> None:
    ended = start(tmp_path, AMQP, "worker", "egress", "--lane", "far")
    assert ended.returncode == 2
    assert "there is no lane far; the site has main" in ended.stderr


def test_a_port_of_the_systems_choice_is_not_shared(tmp_path: Path) -> None:
    ended = start(tmp_path, AMQP, "ingress", "--processes", "2")
    assert ended.returncode == 2
    assert "name one" in ended.stderr

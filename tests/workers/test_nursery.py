"""A process of the router that the tests fork is the one that a user starts."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.router_under_test import DICOM_ROUTER, RouterUnderTest
from tests.programs import Program, RouterProgram


@pytest.mark.parametrize("words", ["--version", "config check", "worker rules -c site.yaml", "x"])
def test_it_says_and_ends_as_if_started_anew(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.yaml").write_text("listeners: [{name: main, port: 11112}]\n")
    monkeypatch.setenv("DICOM_ROUTER_CONFIG", "other.yaml")
    begun = [
        kind([DICOM_ROUTER, *words.split()], tmp_path / f"{kind.__name__}.log")
        for kind in (Program, RouterProgram)
    ]
    anew, forked = ((one.process.wait(30), one.output()) for one in begun)
    assert forked == anew
    assert forked[1]


def test_it_is_killed_like_any_other(tmp_path: Path) -> None:
    with RouterUnderTest(tmp_path, destinations=[], routes=[]) as router:
        assert router.program is not None
        assert router.program.running()
        router.kill()
        assert router.program.process.returncode == -signal.SIGKILL
        router.start()
        assert router.stop() == 0

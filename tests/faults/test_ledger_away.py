"""The ledger away for seconds under load: modalities notice nothing, and the backlog drains."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.modality import Modality
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

ROUTES: list[dict[str, object]] = [
    {"name": "as it came", "send_to": ["plain"]},
    {"name": "edited", "edits": [{"prefix": {"PatientID": "EH-"}}], "send_to": ["edited"]},
]


@contextlib.contextmanager
def locked(ledger_file: Path) -> Iterator[None]:
    """Nobody else can write to the ledger meanwhile, as under a backup or a stuck tool."""
    connection = sqlite3.connect(ledger_file, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_locked_ledger_is_not_noticed_by_modalities_and_the_backlog_drains(
    tmp_path: Path,
) -> None:
    with (
        RecordingScp() as plain,
        RecordingScp() as edited,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("plain", plain.port), dicom("edited", edited.port)],
            routes=ROUTES,
        ) as router,
    ):
        with Modality(router.port, threads=1) as modality:
            acknowledged = modality.acknowledged.data_sets
            for _ in range(2):
                wait_until(lambda: bool(plain.arrivals.data_sets), "some load")
                with locked(router.ledger_file):
                    before, known = len(acknowledged), receptions(router)
                    pause(2.5)
                    assert len(acknowledged) > before + 100, "receiving waits for the ledger"
                    assert receptions(router) == known, "the ledger was not locked at all"
                pause(0.5)
        assert not modality.errors
        assert not modality.acknowledged.refused
        router.wait_until_settled(acknowledged)
        assert {copies[0] for copies in plain.arrivals.data_sets.values()} == set(
            acknowledged.values()
        )
        assert edited.arrivals.data_sets.keys() == acknowledged.keys()
        # Nothing was sent twice: outcomes wait for the ledger as leases and rows do.
        assert plain.arrivals.total == edited.arrivals.total == len(acknowledged)


def test_what_came_in_while_the_ledger_was_locked_survives_a_kill(tmp_path: Path) -> None:
    """The spool is the log: it is taken in at the next start."""
    with (
        RecordingScp() as plain,
        RecordingScp() as edited,
        RouterUnderTest(
            tmp_path,
            destinations=[dicom("plain", plain.port), dicom("edited", edited.port)],
            routes=ROUTES,
        ) as router,
    ):
        with Modality(router.port, threads=1) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(acknowledged) > 50, "some load")
            with locked(router.ledger_file):
                known = receptions(router)
                wait_until(lambda: len(acknowledged) > known + 200, "some load")
                router.kill()
            router.start()
        router.wait_until_settled(acknowledged)
        assert acknowledged.keys() <= plain.arrivals.data_sets.keys()
        assert acknowledged.keys() <= edited.arrivals.data_sets.keys()


def receptions(router: RouterUnderTest) -> int:
    """How many the ledger knows of."""
    return router.count("SELECT count(*) FROM objects WHERE derived_from IS NULL")

"""`dicom-router studies`: a line for each study and destination; `queue` with what is unproven."""

from pathlib import Path
from typing import Any

import pytest

from router.ledger import DeliveryOutcome, DeliveryState, Ledger, deliveries
from router.ledger.commitments import ToCommit


@pytest.fixture
def unproven(busy: Ledger) -> Ledger:
    """Delivery 3 has arrived at pacs, which is to commit it."""
    with busy.write() as connection:
        (leased, *_) = deliveries.lease_due(
            connection, "pacs", owner="w1", limit=1, lease_ms=60_000
        )
        outcome = DeliveryOutcome(
            delivery_id=leased.id,
            attempts=1,
            state=DeliveryState.DELIVERED,
            to_commit=ToCommit(by_query=False, age_ms=0),
        )
        deliveries.record_outcomes(connection, "w1", [outcome])
    return busy


def test_a_study_is_told_in_a_line_for_each_destination(
    call: Any, site_file: Path, unproven: Ledger
):
    assert call("studies", "--json", "-c", site_file).json == []  # it came long ago
    for value in ("1.2.3.4", "P-1", "A-2"):
        (told,) = call("studies", value, "--json", "-c", site_file).json
        assert (told["study_instance_uid"], told["received"]) == ("1.2.3.4", 3)
        assert told["destinations"] == [
            {"destination": "ai", "waiting": 3, "missing": None, "changed": None},
            {
                "destination": "pacs",
                "delivered": 2,
                "waiting": 1,
                "missing": None,
                "changed": None,
            },
        ]
    said = call("studies", "1.2.3.4", "-c", site_file)
    heads, ai, pacs = said.out.splitlines()
    assert heads.split()[-6:] == [
        "waiting",
        "delivered",
        "requested",
        "committed",
        "missing",
        "changed",
    ]
    assert ai.split()[-7:] == ["ai", "3", "0", "0", "0", "-", "-"]
    assert pacs.split()[-7:] == ["pacs", "1", "2", "0", "0", "-", "-"]


def test_an_unknown_study_is_said(call: Any, site_file: Path, busy: Ledger):
    said = call("studies", "9.9", "-c", site_file)
    assert (said.code, said.err) == (1, "the router knows no such study\n")
    assert call("studies", "--since", "1s", "-c", site_file).code == 0


def test_the_queue_tells_what_is_not_proven(call: Any, site_file: Path, unproven: Ledger):
    lines = call("queue", "-c", site_file).out.splitlines()
    assert any(line.split()[:3] == ["pacs", "delivered", "1"] for line in lines)
    told = call("queue", "--json", "-c", site_file).json
    (pacs,) = [one for one in told["destinations"] if one["health"]["name"] == "pacs"]
    assert pacs["commitment"]["delivered"]["total"] == 1
    with unproven.write() as connection:
        connection.exec_driver_sql("UPDATE commitments SET state = 'requested'")
    listed = call("queue", "list", "--state", "delivered", "--json", "-c", site_file).json
    assert sorted(one["status"] for one in listed) == ["delivered", "requested"]
    assert "requested" in call("queue", "list", "--state", "delivered", "-c", site_file).out

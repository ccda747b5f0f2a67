"""`bundles list` and `bundles close`, and what `queue` says of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.config import load_site
from router.ledger import Join, Ledger, ObjectState, RoutingResult, bundles, objects
from tests.router.cli.conftest import object_id, received

UIDS = ("1.2.3", "1.2.4")


@pytest.fixture
def gathered(busy: object, site_file: Path) -> Iterator[Ledger]:
    """Two studies that one route waits for."""
    ledger = Ledger(load_site(site_file).ledger)
    with ledger.write() as connection:
        for number, uid in enumerate(UIDS, 70):
            objects.insert_received(connection, [received(number)])
            join = Join(
                route="whole study", level="study", uid=uid, quiet_ms=60_000, longest_ms=600_000
            )
            objects.record_routing(
                connection,
                [
                    RoutingResult(
                        object_id=object_id(number), state=ObjectState.BUNDLED, joins=(join,)
                    )
                ],
            )
    yield ledger
    ledger.dispose()


@pytest.mark.usefixtures("gathered")
def test_open_bundles_are_listed(call: Any, site_file: Path):
    told = call("bundles", "list", "--json", "-c", site_file).json
    assert [(one["uid"], one["objects"], one["reason"]) for one in told] == [
        ("1.2.3", 1, "quiet"),
        ("1.2.4", 1, "quiet"),
    ]
    (one,) = call("bundles", "list", "--json", "--uid", "1.2.4", "-c", site_file).json
    assert one["uid"] == "1.2.4"
    assert "whole study" in call("bundles", "list", "-c", site_file).out
    assert call("bundles", "list", "--json", "--closed", "-c", site_file).json == []
    assert "2 in 2 bundles that wait" in call("queue", "-c", site_file).out
    assert call("queue", "--json", "-c", site_file).json["bundles"] == {"open": 2, "objects": 2}


def test_a_bundle_is_closed_by_hand(call: Any, site_file: Path, gathered: Ledger):
    assert call("bundles", "close", "--uid", "1.2.3", "--json", "-c", site_file).json == {
        "closed": 1
    }
    with gathered.write() as connection:
        (closed,) = bundles.close_due(connection, limit=9)
    assert (closed.reason, closed.object_ids) == ("closed_by_operator", (object_id(70),))
    (one,) = call("bundles", "list", "--json", "--closed", "-c", site_file).json
    assert (one["uid"], one["state"]) == ("1.2.3", "closed")


@pytest.mark.usefixtures("gathered")
def test_who_names_nothing_closes_nothing(call: Any, site_file: Path):
    assert call("bundles", "close", "-c", site_file).code == 2
    assert call("bundles", "close", "--route", "other", "-c", site_file).code == 1
    assert call("bundles", "close", "--all", "-c", site_file).code == 0

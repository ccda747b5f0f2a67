"""The gauges say what the ledger holds, and nothing once another process leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import REGISTRY
from sqlalchemy import text as sql

from router.conduct.gauges import measure, unmeasure
from router.config import load_site
from router.ledger import (
    Ledger,
    NewDelivery,
    ObjectState,
    RoutingResult,
    destinations,
    objects,
)
from router.ledger.clock import read_clock
from tests.router.cli.conftest import object_id, received

SITE = """
listeners: [{name: main, ae_title: ROUTER, port: 0}]
destinations: [{name: pacs, folder: {path: received}}]
store: file:store
ledger: sqlite:///ledger.db
"""


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"dicom_router_{name}", labels)


def test_what_was_measured_is_not_shown_by_one_that_no_longer_leads(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    site = load_site(tmp_path / "site.yaml", {})
    ledger = Ledger(site.ledger)
    ledger.upgrade()
    with ledger.write() as connection:
        destinations.mark_down(connection, "pacs", "connect_refused", 60_000)
    measure(ledger, site)
    assert shown("destination_up", destination="pacs") == 0
    assert shown("queue_depth", destination="pacs", state="waiting") == 0
    assert shown("queue_oldest_seconds", destination="pacs") == 0
    for state in ("received", "unrouted", "held", "failed"):
        assert shown("unfinished_objects", state=state) == 0
    unmeasure()
    assert shown("destination_up", destination="pacs") is None
    assert shown("queue_depth", destination="pacs", state="waiting") is None
    assert shown("queue_oldest_seconds", destination="pacs") is None
    assert shown("unfinished_objects", state="held") is None
    ledger.dispose()


def test_what_waits_for_a_schedule_does_not_age(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ends = [(now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 1)]
    window = f"{{from: '{ends[0]}', to: '{ends[1]}', zone: UTC}}"
    closed = f"{{from: '{ends[1]}', to: '{ends[0]}', zone: UTC}}"
    text = SITE.replace(
        "{name: pacs, folder: {path: received}}",
        f"{{name: pacs, folder: {{path: a}}, schedule: {window}}}, "
        "{name: ai, folder: {path: b}}",
    )
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    site = load_site(tmp_path / "site.yaml", {})
    ledger = Ledger(site.ledger)
    ledger.upgrade()
    with ledger.write() as connection:
        objects.insert_received(connection, [received(1)])
        objects.record_routing(connection, [routed_to("pacs", "ai")])
        connection.execute(sql("UPDATE deliveries SET created_at = created_at - 5 * 3600000"))
    measure(ledger, site)
    oldest = shown("queue_oldest_seconds", destination="pacs")
    assert oldest is not None
    assert 3_500 <= oldest <= 3_700, "it could have been sent for an hour"
    assert (shown("queue_oldest_seconds", destination="ai") or 0) >= 5 * 3_600
    (tmp_path / "site.yaml").write_text(text.replace(window, closed), encoding="utf-8")
    measure(ledger, load_site(tmp_path / "site.yaml", {}))
    kept = shown("queue_oldest_seconds", destination="pacs")
    assert kept is not None
    assert 3.9 * 3_600 <= kept <= 4.1 * 3_600, "the four hours before the hour it is closed for"
    unmeasure()
    ledger.dispose()


def test_what_waits_for_the_window_of_its_route_does_not_age(tmp_path: Path) -> None:
    """Neither does what it hides age less, however many wait for the night."""
    now = datetime.now(UTC)
    night = "-".join((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (3, 4)) + " UTC"
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    site = load_site(tmp_path / "site.yaml", {})
    ledger = Ledger(site.ledger)
    ledger.upgrade()
    two_hours = "UPDATE deliveries SET created_at = created_at - 7200000"
    with ledger.write() as connection:
        objects.insert_received(connection, [received(number) for number in range(1, 1102)])
        later = read_clock(connection) + 3 * 3_600_000
        for number in range(1, 1101):
            kept = TO_PACS._replace(send_between=night, not_before=later)
            objects.record_routing(connection, [routed(number, kept)])
        connection.execute(sql(two_hours))
    measure(ledger, site)
    assert shown("queue_depth", destination="pacs", state="waiting") == 1100
    assert shown("queue_oldest_seconds", destination="pacs") == 0
    with ledger.write() as connection:
        objects.record_routing(connection, [routed(1101, TO_PACS)])
        connection.execute(sql("UPDATE deliveries SET next_attempt_at = next_attempt_at - 3700000"))
    measure(ledger, site)
    assert 3_700 <= (shown("queue_oldest_seconds", destination="pacs") or 0) < 3_800
    unmeasure()
    ledger.dispose()


def test_nothing_ages_while_a_person_has_stopped_the_destination(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE, encoding="utf-8")
    site = load_site(tmp_path / "site.yaml", {})
    ledger = Ledger(site.ledger)
    ledger.upgrade()
    with ledger.write() as connection:
        objects.insert_received(connection, [received(1)])
        objects.record_routing(connection, [routed(1, TO_PACS)])
        connection.execute(sql("UPDATE deliveries SET created_at = created_at - 7200000"))
    measure(ledger, site)
    assert (shown("queue_oldest_seconds", destination="pacs") or 0) >= 7_200
    assert shown("destination_stopped", destination="pacs") == 0
    with ledger.write() as connection:
        destinations.hold(connection, "pacs")
    measure(ledger, site)
    assert shown("queue_oldest_seconds", destination="pacs") == 0
    assert shown("destination_stopped", destination="pacs") == 1
    unmeasure()
    assert shown("destination_stopped", destination="pacs") is None
    ledger.dispose()


TO_PACS = NewDelivery(destination="pacs", route="all", payload_id=object_id(1))


def routed(number: int, *owed: NewDelivery) -> RoutingResult:
    return RoutingResult(object_id=object_id(number), state=ObjectState.ROUTED, deliveries=owed)


def routed_to(*names: str) -> RoutingResult:
    return routed(1, *(TO_PACS._replace(destination=name) for name in names))

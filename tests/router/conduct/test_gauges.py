"""The gauges say what the ledger holds, and nothing once another process leads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import REGISTRY

from router.conduct.gauges import measure, unmeasure
from router.config import load_site
from router.ledger import Ledger, destinations

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

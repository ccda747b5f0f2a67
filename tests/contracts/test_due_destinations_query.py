"""What KEDA asks of PostgreSQL is what the conductor rings for, and never a count of rows."""

from pathlib import Path

import pytest
from sqlalchemy import text

from router.ledger import Ledger, destinations

QUERY = Path(__file__).parents[2] / "helm" / "files" / "due-destinations.sql"


def asked(ledger: Ledger) -> int:
    with ledger.read() as conn:
        count = conn.scalar(text(QUERY.read_text(encoding="utf-8").replace("::bigint", "")))
        assert count == len(destinations.with_due_work(conn))
    return int(count)


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_destinations_with_due_work_are_counted(engine_name: str, ledger: Ledger, story):
    names = ["pacs", "dead", "stopped", "idle"]
    with ledger.write() as conn:
        destinations.ensure(conn, names)
    assert asked(ledger) == 0
    story.owe("pacs", count=3)
    story.owe("dead", count=30)
    story.owe("stopped", priority=0)
    assert asked(ledger) == 3
    with ledger.write() as conn:
        destinations.mark_down(conn, "dead", "connect_refused", 60_000)
        destinations.hold(conn, "stopped")
    assert asked(ledger) == 1
    story.lease("pacs")
    assert asked(ledger) == 0
    with ledger.write() as conn:
        destinations.release(conn, "stopped")
        destinations.probe_now(conn, "dead")
    assert asked(ledger) == 2

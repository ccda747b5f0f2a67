"""Migrations with rows in the tables: up step by step, down step by step, and up again.

Nothing here knows what a migration does: whatever tables a revision has are filled, and what is in
them must be there after every later step, and after the way back.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    func,
    select,
    text,
)
from sqlalchemy.engine import URL

from alembic import command
from router.ledger import Ledger
from router.ledger.migrations import NEWEST_REVISION, scripts_folder
from router.ledger.models import LedgerTable

ROWS = 6
STATES = {
    "objects": ("received", "routed", "unrouted", "held", "failed", "forgotten"),
    "deliveries": ("waiting", "leased", "delivered", "held", "failed", "cancelled"),
}
OWN = ("alembic_version", "schema_floor")
"""What migrations write for themselves."""

Rows = dict[str, list[dict[str, Any]]]


def step(conn: Connection, to: str, *, up: bool) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts_folder()))
    config.attributes["connection"] = conn
    (command.upgrade if up else command.downgrade)(config, to)


def revisions() -> list[str]:
    walked = ScriptDirectory(str(scripts_folder())).walk_revisions()
    return [script.revision for script in walked][::-1]


def tables(conn: Connection) -> MetaData:
    found = MetaData()
    found.reflect(conn, only=lambda name, _: name not in OWN)
    return found


def fill(conn: Connection) -> None:
    """Rows in every table that has none."""
    for table in tables(conn).sorted_tables:
        if not conn.scalar(select(func.count()).select_from(table)):
            rows = [
                {column.name: value(column, number) for column in table.columns}
                for number in range(ROWS)
            ]
            conn.execute(table.insert(), rows)


def value(column: Column[Any], number: int) -> object:
    """Something that fits; the same for a key and for what refers to it."""
    if column.name == "state" and column.table.name in STATES:
        return STATES[column.table.name][number]
    if column.nullable and number % 2:
        return None
    match column.type:
        case Boolean():
            return number % 3 == 0
        case Integer():
            return number + 1
        case Float():
            return number + 0.5
        case DateTime():
            return datetime(2026, 11, 21, number, tzinfo=UTC)
        case LargeBinary():
            return bytes([number] * 16)
        case String(length=length):
            return f"{number:04x}"[: length or 4]
    raise AssertionError(f"no value for {column.table.name}.{column.name}: {column.type!r}")


def rows_of(conn: Connection) -> Rows:
    return {
        table.name: [
            dict(row)
            for row in conn.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        ]
        for table in tables(conn).sorted_tables
    }


def restricted(rows: Rows, to: Rows) -> Rows:
    """Only the tables and columns of `to`."""
    return {
        name: [{key: row[key] for key in expected[0]} for row in rows[name]]
        for name, expected in to.items()
        if expected
    }


@pytest.fixture
def migrating(empty_url: URL) -> Iterator[Ledger]:
    made = Ledger(empty_url)
    yield made
    made.dispose()


def climb(ledger: Ledger) -> dict[str, Rows]:
    """From nothing to the newest revision, with rows at every step; what was there at each."""
    seen: dict[str, Rows] = {}
    for revision in revisions():
        with ledger.write() as conn:
            step(conn, revision, up=True)
            now = rows_of(conn)
            for earlier in seen.values():
                assert restricted(now, earlier) == restricted(earlier, earlier), revision
            fill(conn)
            seen[revision] = rows_of(conn)
    return seen


def test_rows_survive_every_step_up_and_the_way_back(migrating: Ledger):
    seen = climb(migrating)
    assert all(len(rows) == ROWS for rows in seen["0001"].values())
    for revision in revisions()[-2::-1]:
        with migrating.write() as conn:
            step(conn, revision, up=False)
            assert set(rows_of(conn)) == set(seen[revision]), revision
            now = rows_of(conn)
            assert restricted(now, seen[revision]) == restricted(seen[revision], seen[revision])
    migrating.upgrade()
    migrating.check()
    with migrating.read() as conn:
        first = seen["0001"]
        assert restricted(rows_of(conn), first) == restricted(first, first)
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, LedgerTable.metadata) == []


def test_the_way_back_at_once_leaves_what_the_first_version_made(migrating: Ledger):
    with migrating.write() as conn:
        step(conn, "0001", up=True)
        fill(conn)
        before = rows_of(conn)
    migrating.upgrade()
    assert migrating.revision() == NEWEST_REVISION
    migrating.downgrade("0001")
    assert migrating.revision() == "0001"
    with migrating.read() as conn:
        assert rows_of(conn) == before
    migrating.upgrade()


def test_what_was_forgotten_before_histories_ended_begins_to_count(migrating: Ledger):
    with migrating.write() as conn:
        step(conn, "0001", up=True)
        fill(conn)
    migrating.upgrade()
    with migrating.read() as conn:
        told = conn.execute(text("SELECT state FROM objects WHERE forgotten_at IS NOT NULL"))
        assert told.scalars().all() == ["forgotten"]


def test_rows_are_checked_for_a_column_that_a_step_loses(migrating: Ledger):
    """The comparison itself: it sees a value that is gone."""
    with migrating.write() as conn:
        step(conn, "0001", up=True)
        fill(conn)
        before = rows_of(conn)
        conn.execute(text("UPDATE objects SET reason = NULL"))
        assert restricted(rows_of(conn), before) != restricted(before, before)

"""How the database went about it: the plan of every statement, and how many rows it touched.

PostgreSQL tells the plans that really ran (auto_explain), of prepared statements too, with the rows
each step saw. SQLite tells its plans beforehand; its work is counted in steps of its machine.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Connection, event, text

BIG = ("objects", "deliveries", "delivery_events", "object_events")
SQLITE_STEPS = 1000


@dataclass
class Ran:
    """One statement: its text, its plan's lines, and the rows (PostgreSQL) or thousands of steps
    (SQLite) it took."""

    statement: str
    lines: list[str] = field(default_factory=list)
    effort: int = 0


@dataclass
class Plans:
    """All statements that ran."""

    ran: list[Ran] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [line for one in self.ran for line in one.lines]

    def whole_tables(self) -> list[str]:
        """Where a big table is read from end to end."""
        scans = ("Seq Scan", "SCAN")
        return [
            line
            for line in self.lines
            if line.startswith(scans) and any(name in line.split() for name in BIG)
        ]

    def laborious(self, most: int) -> list[str]:
        """The statements that took more than this."""
        return [f"{one.effort}: {one.statement[:300]}" for one in self.ran if one.effort > most]


@contextmanager
def explained(conn: Connection, mode: str = "auto") -> Iterator[Plans]:
    """Note the plan of each statement of this transaction. `mode`: PostgreSQL's
    plan_cache_mode; statements are prepared at their first execution."""
    plans = Plans()
    watch = _sqlite if conn.dialect.name == "sqlite" else _postgresql
    with watch(conn, plans, mode):
        yield plans


@contextmanager
def _postgresql(conn: Connection, plans: Plans, mode: str) -> Iterator[None]:
    driver = conn.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    conn.execute(text("LOAD 'auto_explain'"))
    settings = {
        "auto_explain.log_min_duration": "0",
        "auto_explain.log_analyze": "on",
        "auto_explain.log_timing": "off",
        "auto_explain.log_format": "json",
        "auto_explain.log_level": "notice",
        "plan_cache_mode": mode,
    }
    for name, value in settings.items():
        conn.execute(text(f"SET LOCAL {name} = {value}"))
    threshold, driver.prepare_threshold = driver.prepare_threshold, 0

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (diagnostic.message_primary or "").partition("plan:\n")
        if found:
            told = json.loads(plan)
            ran = Ran(told["Query Text"])
            _walk(told["Plan"], ran)
            plans.ran.append(ran)

    driver.add_notice_handler(note)
    try:
        yield
        conn.execute(text("SELECT 1"))  # the plan of a statement is told as the next one begins
    finally:
        driver.remove_notice_handler(note)
        driver.prepare_threshold = threshold


def _walk(node: dict[str, Any], ran: Ran) -> None:
    place = f"{node.get('Relation Name', '')} {node.get('Index Name', '')}".strip()
    ran.lines.append(f"{node['Node Type']} {place}".strip())
    loops = node.get("Actual Loops", 1)
    removed = sum(value for name, value in node.items() if name.startswith("Rows Removed"))
    ran.effort += int((node.get("Actual Rows", 0) + removed) * loops)
    for below in node.get("Plans", ()):
        _walk(below, ran)


@contextmanager
def _sqlite(conn: Connection, plans: Plans, mode: str) -> Iterator[None]:
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)

    def ask(conn, cursor, statement, parameters, context, executemany):
        ran = Ran(statement)
        if not executemany and statement.split()[0] in ("SELECT", "UPDATE", "INSERT", "DELETE"):
            asking = driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ran.lines += [str(row[-1]).strip() for row in asking.fetchall()]
        plans.ran.append(ran)

    def step() -> int:
        if plans.ran:
            plans.ran[-1].effort += 1
        return 0

    event.listen(conn, "before_cursor_execute", ask)
    driver.set_progress_handler(step, SQLITE_STEPS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)
        event.remove(conn, "before_cursor_execute", ask)

"""What people ask of the vault is told in the router's log, once, and without reasons."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from router import logs, metrics
from router.conduct.auditing import MOST, AuditWatch
from router.ledger import Ledger, vault
from router.ledger.vault import NewAudit


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    made.upgrade()
    yield made
    made.dispose()


def ask(ledger: Ledger, count: int = 1, *, long_ago: bool = False) -> None:
    new = NewAudit(who="anna@adm01", why="of Doe^Jane", action="lookup", outcome="found", entries=1)
    with ledger.write() as connection:
        for _ in range(count):
            vault.append_audit(connection, new)
        if long_ago:
            connection.execute(text("DROP TRIGGER vault_audit_no_update"))
            connection.execute(text("UPDATE vault_audit SET at = at - 3600000"))


def counted() -> float:
    return float(metrics.VAULT_QUESTIONS.labels("lookup", "found")._value.get())


def test_each_question_is_told_once(ledger: Ledger) -> None:
    watch, before = AuditWatch(ledger), counted()
    assert watch.look() == 0
    ask(ledger, 2)
    assert watch.look() == 2
    assert watch.look() == 0
    assert counted() == before + 2


def test_a_new_leader_tells_of_the_last_minute_and_not_of_all_time(ledger: Ledger) -> None:
    ask(ledger, 3, long_ago=True)
    ask(ledger)
    assert AuditWatch(ledger).look() == 1


def test_many_are_told_in_parts(ledger: Ledger) -> None:
    watch = AuditWatch(ledger)
    watch.look()
    ask(ledger, MOST + 1)
    assert [watch.look(), watch.look(), watch.look()] == [MOST, 1, 0]


def test_the_log_has_who_and_what_and_no_reason(ledger: Ledger) -> None:
    ask(ledger)
    written = io.StringIO()
    logs.configure(level="info", style="json", to=written)
    try:
        AuditWatch(ledger).look()
    finally:
        logs.configure(level="warning", style="console")
    line = json.loads(written.getvalue())
    told = (line["who"], line["action"], line["outcome"], line["n"])
    assert told == ("anna@adm01", "lookup", "found", 1)
    assert "Doe^Jane" not in written.getvalue()


def test_what_an_alert_looks_for_is_there_before_it_happens(ledger: Ledger) -> None:
    AuditWatch(ledger)
    (family,) = metrics.VAULT_QUESTIONS.collect()
    there = {(one.labels["action"], one.labels["outcome"]) for one in family.samples}
    assert {("lookup", "touched"), ("forget", "wrong_secret")} <= there

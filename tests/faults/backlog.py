"""Deliveries by the hundred thousand to a destination that is dead, straight into the ledger."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from router.ledger import Ledger

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
_OBJECTS = """
INSERT INTO objects (id, received_at, recorded_at, sop_class_uid, sop_instance_uid,
    transfer_syntax_uid, study_instance_uid, series_instance_uid, size, data_set_offset, checksum,
    state, priority, generation)
{numbers} SELECT printf('%032x', i), 1700000000000 + i, 1700000000000 + i,
    '1.2.840.10008.5.1.4.1.1.2', '2.25.1.' || i, '1.2.840.10008.1.2.1', '2.25.2.' || (i / 200),
    '2.25.3.' || (i / 50), 525000, 500, '00', 'routed', 2, 0 FROM n
"""
_DELIVERIES = """
INSERT INTO deliveries (object_id, payload_id, destination, route, rules_version, priority, state,
    attempts, next_attempt_at, created_at, owed_since, generation)
{numbers} SELECT printf('%032x', i), printf('%032x', i), '{destination}', 'all', 'v1', 2,
    'waiting', 0, 1700000000000 + i, 1700000000000 + i, 1700000000000 + i, 0 FROM n
"""


def owe(ledger_file: Path, destination: str, count: int) -> None:
    """Make a ledger with so many waiting deliveries; their objects lie in no store."""
    ledger_file.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(f"sqlite:///{ledger_file}")
    ledger.upgrade()
    numbers = _NUMBERS.format(count=count)
    with ledger.write() as connection:
        for statement in (_OBJECTS, _DELIVERIES):
            sql = statement.format(numbers=numbers, destination=destination)
            connection.execute(text(sql))
    ledger.dispose()

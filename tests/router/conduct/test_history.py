"""The history's end, batch by batch, and never for long."""

from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from router.conduct.history import AT_MOST_SECONDS, end_history
from router.ledger import Ledger, history
from router.ledger.models import OBJECTS

FORGOTTEN = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
INSERT INTO objects (id, received_at, recorded_at, sop_class_uid, sop_instance_uid,
    transfer_syntax_uid, size, data_set_offset, checksum, state, priority, generation, forgotten_at)
SELECT printf('%032x', i), i, i, '1.2', '2.25.' || i, '1.2', 1, 1, '00', 'forgotten', 2, 0, i FROM n
"""


@pytest.fixture
def ledger(tmp_path: Path):
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    made.upgrade()
    yield made
    made.dispose()


def forgotten(ledger: Ledger, count: int) -> None:
    with ledger.write() as conn:
        conn.execute(text(FORGOTTEN.format(count=count)))


def left(ledger: Ledger) -> int:
    with ledger.read() as conn:
        return conn.scalar(select(func.count()).select_from(OBJECTS)) or 0


def test_all_batches_of_what_is_old_enough(ledger: Ledger):
    forgotten(ledger, 2 * history.CHUNK + 10)
    assert end_history(ledger, keep_ms=1000) == 2 * history.CHUNK + 10
    assert left(ledger) == 0
    assert end_history(ledger, keep_ms=1000) == 0


def test_what_is_young_is_kept(ledger: Ledger):
    forgotten(ledger, 10)
    with ledger.write() as conn:
        conn.execute(text("UPDATE objects SET forgotten_at = 32503680000000"))
    assert end_history(ledger, keep_ms=1000) == 0
    assert left(ledger) == 10


def test_the_other_duties_do_not_wait_for_long(ledger: Ledger):
    forgotten(ledger, 3 * history.CHUNK)
    times = iter([0.0, 0.0, AT_MOST_SECONDS + 0.1])
    assert end_history(ledger, keep_ms=1000, clock=lambda: next(times)) == history.CHUNK
    assert left(ledger) == 2 * history.CHUNK

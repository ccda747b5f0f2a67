"""What came lately, newest first, on every database."""

from router.ledger import Ledger, objects
from router.ledger.objects import mark_forgotten
from router.ledger.recent import received_within


def test_recent_objects_newest_first_and_bounded(ledger: Ledger, story):
    rows = [story.received() for _ in range(3)]
    with ledger.write() as conn:
        objects.insert_received(conn, rows)
        mark_forgotten(conn, [rows[1].id])
    ids = [rows[2].id, rows[0].id]
    with ledger.read() as conn:
        assert [one.id for one in received_within(conn, 3_600_000, 99)] == ids
        assert [one.id for one in received_within(conn, 3_600_000, 1)] == ids[:1]
        assert list(received_within(conn, -3_600_000, 99)) == []

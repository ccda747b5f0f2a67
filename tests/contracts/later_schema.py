"""The schema as a later version might leave it: expanded, never contracted."""

from __future__ import annotations

from sqlalchemy import text

from router.ledger import Ledger
from router.ledger.migrations import NEWEST_REVISION
from router.ledger.models import LedgerTable

LATER = f"{int(NEWEST_REVISION) + 1:04d}"
KEPT = ("alembic_version", "schema_floor")


def expand(ledger: Ledger, *, floor: str = NEWEST_REVISION) -> None:
    """What an expanding step may do: columns with and without defaults, a table, an index."""
    with ledger.write() as conn:
        for name in sorted(set(LedgerTable.metadata.tables) - set(KEPT)):
            conn.execute(text(f"ALTER TABLE {name} ADD COLUMN later_note VARCHAR(64)"))
            conn.execute(
                text(f"ALTER TABLE {name} ADD COLUMN later_count INTEGER NOT NULL DEFAULT 0")
            )
        conn.execute(text("CREATE TABLE later_things (id INTEGER PRIMARY KEY, note TEXT)"))
        conn.execute(text("CREATE INDEX ix_later_count ON deliveries (later_count)"))
        conn.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": LATER})
        conn.execute(text("UPDATE schema_floor SET revision = :to"), {"to": floor})

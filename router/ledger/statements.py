"""Pieces that prebuilt statements share. They are made once: building costs more than running."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, Insert, Table, literal_column, null, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import TextClause

from router.ledger.clock import ledger_now

CHUNK = 500
"""Rows named by one IN list: far below every driver's limit on parameters."""

# Partial indexes are used only where the statement repeats their condition literally.
WAITING: Final[TextClause] = text("deliveries.state = 'waiting'")
LEASED: Final[TextClause] = text("deliveries.state = 'leased'")
OPEN: Final[TextClause] = text("deliveries.state IN ('waiting', 'leased', 'held', 'failed')")
UNFINISHED: Final[TextClause] = text("objects.state IN ('received', 'unrouted', 'held', 'failed')")


def constant(value: str | int) -> ColumnElement[str]:
    """A literal of our own in SQL; never a value from outside."""
    return literal_column(str(value) if isinstance(value, int) else f"'{value}'")


EVERY_PRIORITY: Final = [constant(priority) for priority in range(4)]
NOW: Final[ColumnElement[int]] = ledger_now()
NOTHING: Final[ColumnElement[None]] = null()


class InsertNew:
    """`INSERT ... ON CONFLICT DO NOTHING` for the connection's database.

    Do not ask for its rowcount: not every driver tells how many rows were new.
    """

    def __init__(self, table: Table, **values: ColumnElement[int]) -> None:
        """`values`: columns that the database fills in, such as `recorded_at=NOW`."""
        self._by_dialect: Mapping[str, Insert] = {
            "sqlite": sqlite.insert(table).values(values).on_conflict_do_nothing(),
            "postgresql": postgresql.insert(table).values(values).on_conflict_do_nothing(),
        }

    def on(self, conn: Connection) -> Insert:
        """The statement that this connection's database understands."""
        return self._by_dialect[conn.dialect.name]


__all__ = [
    "CHUNK",
    "EVERY_PRIORITY",
    "LEASED",
    "NOTHING",
    "NOW",
    "OPEN",
    "UNFINISHED",
    "WAITING",
    "InsertNew",
    "constant",
]

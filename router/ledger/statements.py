"""Pieces that prebuilt statements share. They are made once: building costs more than running."""

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    literal_column,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import TextClause

from router.ledger.clock import ledger_now
from router.ledger.models import DELIVERIES

CHUNK = 500
"""Rows named by one IN list: far below every driver's limit on parameters."""

# Partial indexes are used only where the statement repeats their condition literally.
WAITING: Final[TextClause] = text("deliveries.state = 'waiting'")
LEASED: Final[TextClause] = text("deliveries.state = 'leased'")
OPEN: Final[TextClause] = text("deliveries.state IN ('waiting', 'leased', 'held', 'failed')")
UNPROVEN: Final[TextClause] = text("commitments.state IN ('due', 'check', 'requested')")
UNFINISHED: Final[TextClause] = text("objects.state IN ('received', 'unrouted', 'held', 'failed')")

OUTSIDE = "outside_window"
"""The reason of a delivery that waits for the time at which its route sends."""


def constant(value: str | int) -> ColumnElement[str]:
    """A literal of our own in SQL; never a value from outside."""
    return literal_column(str(value) if isinstance(value, int) else f"'{value}'")


NOW: Final[ColumnElement[int]] = ledger_now()
NOTHING: Final[ColumnElement[None]] = null()


def is_due(
    destination: ColumnElement[str], *, priorities: Iterable[int] = range(4)
) -> ColumnElement[bool]:
    """Whether anything of these priorities is to be leased for a destination.

    The earliest of each priority is the first entry of a range of ix_deliveries_due. A plain EXISTS
    is not asked of that index by PostgreSQL when its plan is for any values: it expects to come
    upon a match soon in the table itself, and reads a dead destination's whole backlog before.
    """
    return or_(
        *(
            select(DELIVERIES.c.next_attempt_at)
            .where(
                WAITING,
                DELIVERIES.c.destination == destination,
                DELIVERIES.c.priority == constant(priority),
            )
            .order_by(DELIVERIES.c.next_attempt_at)
            .limit(literal_column("1"))
            .scalar_subquery()
            <= NOW
            for priority in priorities
        )
    )


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
    "LEASED",
    "NOTHING",
    "NOW",
    "OPEN",
    "OUTSIDE",
    "UNFINISHED",
    "UNPROVEN",
    "WAITING",
    "InsertNew",
    "constant",
    "is_due",
]

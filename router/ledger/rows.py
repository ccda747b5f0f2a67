"""Many rows at once, in and out of the database.

Python's SQLite driver lets go of the interpreter's lock for each statement, each row it fetches and
each value of it, and whoever receives takes it meanwhile: in a busy process 30 times for an object
that is looked up. So rows go in several to a statement, and come out as one value.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    String,
    Table,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

MOST = 64
"""Rows of one statement, a power of two; whatever is left goes in halves, quarters and so on."""

Value: TypeAlias = str | int | None
Made: TypeAlias = Callable[[BindParameter[Any]], ColumnElement[Any]]


class InsertRows:
    """`INSERT INTO` a table of rows that have these columns, in this order.

    A statement is compiled once for each number of rows, and rows are tuples all the way:
    SQLAlchemy would sort each one's parameters by name. To PostgreSQL they go one by one in a
    pipeline: psycopg reads the words of a statement with more than 50 parameters anew each time,
    which takes longer than it saves.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        new_only: bool = False,
        made: Mapping[str, Made] | None = None,
        **values: ColumnElement[Any],
    ) -> None:
        """`new_only`: rows that are there already are passed over. `made`: what the database
        makes of a column's value; `values`: what it fills in by itself."""
        self._table = table
        self._columns = columns
        self._new_only = new_only
        self._made = made or {}
        self._values = values
        self._compiled = lru_cache(maxsize=None)(self._compile)

    def run(self, conn: Connection, rows: Sequence[tuple[Value, ...]]) -> None:
        """Insert them all."""
        if not rows:
            return
        if conn.dialect.name != "sqlite":
            words, ordered = self._compiled(conn.dialect.name, 1)
            conn.exec_driver_sql(words, [ordered(row) for row in rows])
            return
        start = 0
        for count in _parts(len(rows)):
            words, ordered = self._compiled("sqlite", count)
            part = map(ordered, rows[start : start + count])
            conn.exec_driver_sql(words, tuple(chain.from_iterable(part)))
            start += count

    def _compile(
        self, dialect: str, count: int
    ) -> tuple[str, Callable[[tuple[Value, ...]], tuple[Value, ...]]]:
        """The statement for so many rows, and what puts a row into the order of its parameters."""
        insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
        statement = insert(self._table).values([self._row(n) for n in range(count)])
        if self._new_only:
            statement = statement.on_conflict_do_nothing()
        compiled = statement.compile(dialect=_DIALECTS[dialect])
        names = compiled.positiontup or []
        order = [self._columns.index(name) for name in (n.rpartition(" ")[0] for n in names)]
        return compiled.string, itemgetter(*order[: len(order) // count])

    def _row(self, number: int) -> dict[str, ColumnElement[Any]]:
        row: dict[str, ColumnElement[Any]] = dict(self._values)
        for name in self._columns:
            given = bindparam(f"{name} {number}", type_=self._table.c[name].type)
            row[name] = self._made[name](given) if name in self._made else given
        return row


class SelectRows:
    """A `SELECT` of texts and numbers that finds many rows. On SQLite they come in no order."""

    def __init__(self, statement: Select[Any]) -> None:
        """Columns need names of their own."""
        rows = statement.subquery()
        assert all(isinstance(column.type, Integer | String) for column in rows.c)
        packed = select(func.json_group_array(func.json_array(*rows.c)))
        self._by_dialect: Mapping[str, Select[Any]] = {"sqlite": packed, "postgresql": statement}

    def run(self, conn: Connection, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """All rows; strings, integers and None."""
        found = conn.execute(self._by_dialect[conn.dialect.name], values)
        if conn.dialect.name != "sqlite":
            return found.all()
        rows: list[list[Value]] = json.loads(found.scalar_one())
        return rows


_DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    "postgresql": PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call]
}


def _parts(count: int) -> Iterator[int]:
    while count >= MOST:
        yield MOST
        count -= MOST
    while count:
        part = 1 << count.bit_length() - 1
        yield part
        count -= part

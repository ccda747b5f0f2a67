"""The ledger's clock: the database's own, as milliseconds since the epoch (UTC).

Hosts disagree about the time; one database does not. Whatever is compared across processes
(leases, retries, probes, retention) is written and compared with `ledger_now()`.
"""

from sqlalchemy import BigInteger, Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class ledger_now(FunctionElement[int]):  # noqa: N801  (reads like SQL's now())
    """Milliseconds since the epoch; constant within one statement, so an index range can use it."""

    type = BigInteger()
    inherit_cache = True


@compiles(ledger_now, "sqlite")
def _sqlite(element: ledger_now, compiler: SQLCompiler, **kw: object) -> str:
    # unixepoch("subsec") needs SQLite 3.42; the Julian day has had whole milliseconds for long.
    return "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"


@compiles(ledger_now, "postgresql")
def _postgresql(element: ledger_now, compiler: SQLCompiler, **kw: object) -> str:
    # statement_timestamp() is STABLE; clock_timestamp() is VOLATILE and would forbid index ranges.
    return "CAST(floor(extract(epoch FROM statement_timestamp()) * 1000) AS BIGINT)"


_NOW = select(ledger_now())


def read_clock(conn: Connection) -> int:
    """What it is now."""
    return int(conn.scalars(_NOW).one())

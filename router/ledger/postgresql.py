"""PostgreSQL: what a connection is made with, and when one is given up.

Everything is said in the ledger's URL: what libpq knows (`sslmode`, `target_session_attrs`,
`options`, several hosts, ...) goes to it as it stands, and `connections` is ours.
"""

from collections.abc import Mapping

from sqlalchemy import Engine, create_engine, event, exc
from sqlalchemy.engine import URL, ExceptionContext

from router.ledger.errors import LedgerRefused

CONNECTIONS = 16
"""Connections one process opens at most; its threads wait for a free one. A transaction takes
milliseconds, so that more would only share the server's cores among themselves."""
WAIT_SECONDS = 30.0

# A network that was cut is noticed within half a minute, by us and by the server, which would
# otherwise keep a lost worker's locks for hours.
CONNECTING: Mapping[str, str] = {
    "application_name": "dicom-router",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
SESSION: Mapping[str, str] = {
    # No transaction waits for the network; one that idles belongs to a lost process.
    "idle_in_transaction_session_timeout": "60000",
    "lock_timeout": "30000",
    "statement_timeout": "120000",
    # Counting a long queue for the gauges may take its time on one core; the others are at work.
    "max_parallel_workers_per_gather": "0",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
SETTINGS = " ".join(f"-c {name}={value}" for name, value in SESSION.items())

LOST_STATES = ("25006", "57P01", "57P02", "57P03")
"""Read-only (a primary that has become a standby), shut down, crashed, starting: the connection
is of no use any more, and its sisters in the pool hardly are."""


def postgresql_engine(url: URL) -> Engine:
    """An engine whose connections come back after whatever happened to the server."""
    url, connections = _without_connections(url)
    # SQLAlchemy would put these over what the URL says: only what it does not say.
    connecting = {name: value for name, value in CONNECTING.items() if name not in url.query}
    # libpq takes the last of several: who writes `options` wins, and keeps what he did not write.
    options = f"{SETTINGS} {_one(url, 'options')}".rstrip()
    try:
        engine = create_engine(
            url,
            pool_size=min(connections, 8),
            max_overflow=max(0, connections - 8),
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,  # a database that restarted costs a reconnect, not a failed batch
            connect_args={**connecting, "options": options},
        )
    except exc.ArgumentError as error:
        raise LedgerRefused(f"the ledger's URL cannot be used: {error}") from None
    event.listen(engine, "handle_error", _give_up_connection)
    return engine


def _without_connections(url: URL) -> tuple[URL, int]:
    words = _one(url, "connections")
    if not words:
        return url, CONNECTIONS
    if not words.isdecimal() or not 1 <= int(words) <= 1000:
        raise LedgerRefused("`connections` in the ledger's URL is a number from 1 to 1000")
    return url.difference_update_query(["connections"]), int(words)


def _one(url: URL, name: str) -> str:
    found = url.query.get(name, "")
    return found if isinstance(found, str) else found[-1]


def _give_up_connection(context: ExceptionContext) -> None:
    if getattr(context.original_exception, "sqlstate", None) in LOST_STATES:
        context.is_disconnect = True

"""The door to the database: engines, transactions, and the ledger's own errors.

`Ledger.read()` and `Ledger.write()` give a connection inside one transaction. SQLAlchemy's errors
are translated here, once, into `LedgerError`s; nothing outside this package knows a driver.
On SQLite one process-wide fair lock orders the writers, so that threads queue instead of polling.
"""

import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.engine import URL

from router.ledger.errors import LedgerBusy, LedgerRefused, LedgerUnavailable, SchemaOutdated
from router.ledger.migrations import (
    check_schema,
    current_revision,
    downgrade_schema,
    upgrade_schema,
)
from router.ledger.postgresql import postgresql_engine

BUSY_SECONDS = 30.0
"""How long a writer waits for its turn: longer than any transaction may last."""

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a committed row survives a power cut, not only a crash
    f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",  # 16 MB for each connection
    "PRAGMA wal_autocheckpoint=4000",  # 16 MB: fewer flushes of the main file while busy
    "PRAGMA journal_size_limit=67108864",
)


BUSY_STATES = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock time-out: nothing is wrong, somebody was in the way."""
BUSY_PAUSES = (0.05, 0.2, 1.0, 3.0)
"""Seconds before a transaction is tried again that others were in the way of."""
T = TypeVar("T")


class FairLock:
    """A lock that is granted in the order of asking; not re-entrant, and says so."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owner: int | None = None
        self._waiting: deque[tuple[int, threading.Lock]] = deque()

    def acquire(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the turn."""
        me = threading.get_ident()
        with self._mutex:
            if self._owner == me:
                raise LedgerRefused("a write transaction inside another one of the same thread")
            if self._owner is None:
                self._owner = me
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append((me, turn))
        if turn.acquire(timeout=timeout):
            return True
        with self._mutex:
            if self._owner == me:  # granted just as the time ran out
                return True
            self._waiting.remove((me, turn))
            return False

    def release(self) -> None:
        """Pass the lock to whoever has waited longest."""
        with self._mutex:
            if self._waiting:
                self._owner, turn = self._waiting.popleft()
                turn.release()
            else:
                self._owner = None


_WRITERS: dict[str, FairLock] = {}  # by database file: two ledgers on one file share the queue
_WRITERS_MUTEX = threading.Lock()


def _writer_lock(url: URL) -> FairLock:
    with _WRITERS_MUTEX:
        return _WRITERS.setdefault(os.path.realpath(url.database or ""), FairLock())


class Ledger:
    """One database. Make it in the process that uses it; threads share it."""

    def __init__(self, url: str | URL) -> None:
        """`url`: `sqlite:///relative/or//absolute/path.db` or `postgresql+psycopg://...`."""
        try:
            self.url = make_url(url)
        except (exc.ArgumentError, ValueError):  # whose words might quote the password
            raise LedgerRefused("the ledger's URL cannot be read") from None
        self.dialect = self.url.get_backend_name()
        if self.dialect == "sqlite":
            self._writers: FairLock | None = _writer_lock(self.url)
            self._engine = _sqlite_engine(self.url, connections=64)
            # One connection writes: each other's pages in memory are void after every transaction.
            self._write_engine = _sqlite_engine(self.url, connections=1)
        elif self.dialect == "postgresql":
            self._writers = None
            self._engine = self._write_engine = postgresql_engine(self.url)
        else:
            raise LedgerRefused(f"no ledger can be kept in {self.dialect}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot to read from; nothing written here is kept."""
        with translated_errors(), self._engine.connect() as conn:
            if self._writers is not None:
                _begin(conn, "BEGIN")
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        with translated_errors(), self._turn(), self._write_engine.begin() as conn:
            if self._writers is not None:
                # A deferred transaction that turns writer half-way cannot wait: it fails, "locked".
                _begin(conn, "BEGIN IMMEDIATE")
            yield conn

    def transact(self, act: Callable[[Connection], T]) -> T:
        """`act` in a transaction of its own, again while others stand in its way."""
        for pause in (*BUSY_PAUSES, None):
            try:
                with self.write() as conn:
                    return act(conn)
            except LedgerBusy:
                if pause is None:
                    raise
                time.sleep(pause * random.uniform(0.5, 1.5))
        raise AssertionError

    def upgrade(self) -> None:
        """Bring the schema to this version's; harmless when several processes do it at once."""
        self.transact(upgrade_schema)

    def downgrade(self, revision: str) -> None:
        """Take the schema back; what only the later revisions keep is lost."""
        self.transact(lambda conn: downgrade_schema(conn, revision))

    def check(self) -> None:
        """Raise SchemaOutdated or LedgerRefused unless this version can work with the schema."""
        with self.read() as conn:
            check_schema(conn)

    def revision(self) -> str | None:
        """The schema's revision; None for an empty database."""
        with self.read() as conn:
            return current_revision(conn)

    def dispose(self) -> None:
        """Close every idle connection."""
        self._engine.dispose()
        self._write_engine.dispose()

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._writers is None else _held(self._writers)


@contextmanager
def _held(lock: FairLock) -> Iterator[None]:
    if not lock.acquire(BUSY_SECONDS):
        raise LedgerUnavailable("waited too long for the other writers of this process")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn SQLAlchemy's errors into the ledger's; parameters never reach the message."""
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
        words = _words(error)
        if words.startswith(("no such table", "no such column")):
            raise SchemaOutdated(words) from None
        if getattr(error.orig, "sqlstate", None) in BUSY_STATES:
            raise LedgerBusy(words) from None
        raise LedgerUnavailable(words) from None
    except exc.TimeoutError:
        raise LedgerUnavailable("no free connection to the database") from None
    except exc.ProgrammingError as error:
        words = _words(error)
        if "does not exist" in words:
            raise SchemaOutdated(words) from None
        raise LedgerRefused(words) from None
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise LedgerUnavailable(_words(error)) from None
        raise LedgerRefused(_words(error)) from None
    except (exc.PendingRollbackError, exc.ResourceClosedError) as error:
        # The connection was lost a statement ago, and whoever noticed went on.
        raise LedgerUnavailable(str(error).splitlines()[0]) from None
    except exc.InvalidRequestError as error:
        if "connection is closed" not in str(error):
            raise
        # What the pool says when the server dies between its greeting and our first question.
        raise LedgerUnavailable("the connection was lost as soon as it was made") from None


def _words(error: exc.DBAPIError) -> str:
    # The driver's first line only: later lines (PostgreSQL's DETAIL) may quote a row.
    lines = str(error.orig).splitlines()
    return lines[0][:200] if lines else type(error.orig).__name__


def _sqlite_engine(url: URL, *, connections: int) -> Engine:
    if not url.database or url.database == ":memory:":
        raise LedgerRefused("a ledger needs a file: its readers and writers are many")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerUnavailable(f"the ledger's folder cannot be made: {error.strerror}") from None
    engine = create_engine(
        url,
        pool_size=min(8, connections),
        max_overflow=max(0, connections - 8),
        pool_timeout=BUSY_SECONDS,
        # The driver must not begin transactions by itself: BEGIN IMMEDIATE is ours to say.
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS},
    )
    event.listen(engine, "do_connect", partial(_make_private, url.database))
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _make_private(path: str, *connecting: object) -> None:
    # Patients' ids are in it: not for everybody on this machine. The -wal file follows suit.
    # A file that is there is not even opened: closing it again would drop all locks that this
    # process has on it (POSIX), and another process would delete the -wal file we write to.
    with _WRITERS_MUTEX, suppress(OSError):  # SQLite says better what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640))


def _set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    with _driver_errors():
        for pragma in SQLITE_PRAGMAS:
            connection.execute(pragma).close()


def _begin(conn: Connection, words: str) -> None:
    # Said to the driver, not by a listener: an engine that has any for its statements looks for
    # more at each of them, which costs as much as running a small one.
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    with _driver_errors():
        driver.execute(words).close()


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Translate what the driver says where SQLAlchemy does not wrap it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise LedgerUnavailable(str(error)) from None
    except sqlite3.DatabaseError as error:
        raise LedgerRefused(str(error)) from None

"""The engines and adapters on which the contract suites run."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL

from router.ledger import (
    DeliveryOutcome,
    DeliveryState,
    LeasedDelivery,
    Ledger,
    NewDelivery,
    ObjectState,
    ReceivedObject,
    RoutingResult,
    StoredObject,
    deliveries,
    objects,
    queries,
)
from router.ledger.queries import Trace, TraceBy
from router.store import new_object_id


def missing(words: str) -> None:
    """Skip here; fail where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(words)
    pytest.skip(words)


def postgresql_programs() -> Path | None:
    """The folder of initdb and postgres: the newest installed one, or from PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name)
    )
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found and shutil.which("postgres") else None


def unprivileged() -> str | None:
    """Whom to run PostgreSQL as: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Server:
    """A PostgreSQL server of our own, in a folder that is removed afterwards."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._user = unprivileged()
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._port = free_port()
        self.url = make_url(f"postgresql+psycopg://ledger@127.0.0.1:{self._port}/postgres")

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            timeout=60,
        )

    def make(self) -> None:
        self.run("initdb", "-D", str(self._data), "-U", "ledger", "-A", "trust", "--no-sync")

    def start(self, settings: str = "-c fsync=off") -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._data} {settings}"
        log = str(self._data / "log")
        self.run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", log, "-o", options)

    @property
    def pid(self) -> int:
        """Of the process whose children are the backends."""
        return int((self._data / "postmaster.pid").read_text().split("\n")[0])

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._data))

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Speak TLS from the next connection on."""
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            copy = self._data / name
            shutil.copy(source, copy)
            copy.chmod(0o600)
            if self._user is not None:
                shutil.chown(copy, self._user)
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write("ssl = on\n")
        self.run("pg_ctl", "restart", "-w", "-D", str(self._data), "-l", str(self._data / "log"))

    def new_database(self, template: str = "template1") -> URL:
        """A database of its own for one test: a copy of the template."""
        name = "t" + os.urandom(8).hex()
        admin = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with admin.connect() as conn:
            conn.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        admin.dispose()
        return self.url.set(database=name)


@contextlib.contextmanager
def new_server() -> Iterator[Server]:
    """A server that runs until the block ends; skips or fails where there can be none."""
    programs = postgresql_programs()
    if programs is None:
        missing("PostgreSQL is not installed")
        return
    if os.geteuid() == 0 and unprivileged() is None:
        missing("PostgreSQL refuses root, and there is nobody else to run it")
    folder = Path(tempfile.mkdtemp(prefix="ledger-"))
    server = Server(programs, folder)
    try:
        server.make()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """One server for the whole run."""
    with new_server() as server:
        yield server


@pytest.fixture
def own_postgresql() -> Iterator[Server]:
    """A server that the test may stop and start."""
    with new_server() as server:
        yield server


def upgraded(url: URL) -> URL:
    """The same place, with all tables made."""
    ledger = Ledger(url)
    ledger.upgrade()
    ledger.dispose()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger file with all its tables: copying it is quicker than migrating."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    upgraded(make_url(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Server) -> str:
    """The name of a database with all its tables."""
    return str(upgraded(postgresql.new_database()).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Every database that a ledger can be kept in."""
    return str(request.param)


@pytest.fixture
def empty_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Where a ledger may be made."""
    if engine_name == "sqlite":
        return make_url(f"sqlite:///{tmp_path}/empty.db")
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def ledger(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with all its tables and nothing in them."""
    if engine_name == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "ledger.db")
        made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    else:
        server: Server = request.getfixturevalue("postgresql")
        made = Ledger(server.new_database(request.getfixturevalue("postgresql_template")))
    yield made
    made.dispose()


CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


class Story:
    """Says in a line what must have happened before a test begins."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def received(self, **changes: Any) -> ReceivedObject:
        """An object that nobody has recorded yet."""
        object_id = changes.pop("id", None) or new_object_id()
        row = ReceivedObject(
            id=object_id,
            received_at=1_700_000_000_000,
            listener="main",
            association_id="association-1",
            peer_address="10.1.0.7",
            calling_ae_title="CT01",
            called_ae_title="ROUTER",
            tls_subject=None,
            sop_class_uid=CT_IMAGE_STORAGE,
            sop_instance_uid=f"2.25.{int(object_id, 16)}",
            transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
            size=1000,
            data_set_offset=500,
            checksum="c0ffee" * 5 + "00",
        )
        return replace(row, **changes)

    def receive(self, count: int = 1, **changes: Any) -> list[str]:
        """Objects that came in; their ids."""
        rows = [self.received(**changes) for _ in range(count)]
        with self.ledger.write() as conn:
            objects.insert_received(conn, rows)
        return [row.id for row in rows]

    def route(self, object_id: str, *destinations: str, **changes: Any) -> RoutingResult:
        """A verdict: this object to these destinations, unedited."""
        priority = changes.pop("priority", 2)
        result = RoutingResult(
            object_id=object_id,
            state=ObjectState.ROUTED,
            rules_version="v1",
            deliveries=tuple(
                NewDelivery(destination=name, route="all", payload_id=object_id, priority=priority)
                for name in destinations
            ),
        )
        return replace(result, **changes)

    def record(self, *results: RoutingResult) -> set[str]:
        with self.ledger.write() as conn:
            return objects.record_routing(conn, results)

    def owe(self, *destinations: str, count: int = 1, **changes: Any) -> list[str]:
        """Objects that came in and are owed to these destinations; their ids."""
        ids = self.receive(count)
        self.record(*(self.route(object_id, *destinations, **changes) for object_id in ids))
        return ids

    def lease(
        self, destination: str, owner: str = "worker", limit: int = 50, lease_ms: int = 60_000
    ) -> list[LeasedDelivery]:
        with self.ledger.write() as conn:
            return deliveries.lease_due(
                conn, destination, owner=owner, limit=limit, lease_ms=lease_ms
            )

    def end(
        self,
        leased: Sequence[LeasedDelivery],
        state: DeliveryState = DeliveryState.DELIVERED,
        owner: str = "worker",
        **changes: Any,
    ) -> int:
        """All of these ended like this."""
        outcomes = [
            replace(
                DeliveryOutcome(delivery_id=one.id, attempts=one.attempts + 1, state=state),
                **changes,
            )
            for one in leased
        ]
        with self.ledger.write() as conn:
            return deliveries.record_outcomes(conn, owner, outcomes)

    def stored(self, object_id: str) -> StoredObject:
        with self.ledger.read() as conn:
            (found,) = objects.by_ids(conn, [object_id])
            return found

    def told(self, object_id: str) -> Trace:
        """Everything that is known about an object."""
        with self.ledger.read() as conn:
            (found,) = queries.trace(conn, object_id, TraceBy.OBJECT_ID)
            return found

    def state_of(self, object_id: str, destination: str) -> DeliveryState:
        found = {one.delivery.destination: one for one in self.told(object_id).deliveries}
        return found[destination].delivery.state


@pytest.fixture
def story(ledger: Ledger) -> Story:
    return Story(ledger)

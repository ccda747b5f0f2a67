"""The engines and adapters on which the contract suites run."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL

from router.ledger import Ledger


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

    def start(self) -> None:
        self.run("initdb", "-D", str(self._data), "-U", "ledger", "-A", "trust", "--no-sync")
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._data} -c fsync=off"
        log = str(self._data / "log")
        self.run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", log, "-o", options)

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._data))

    def new_database(self, name: str) -> URL:
        """An empty database of its own for one test."""
        admin = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with admin.connect() as conn:
            conn.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        return self.url.set(database=name)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """One server for the whole run."""
    programs = postgresql_programs()
    if programs is None:
        missing("PostgreSQL is not installed")
        return
    if os.geteuid() == 0 and unprivileged() is None:
        missing("PostgreSQL refuses root, and there is nobody else to run it")
    folder = Path(tempfile.mkdtemp(prefix="ledger-"))
    server = Server(programs, folder)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Where an empty ledger may be made, once for each engine."""
    if request.param == "sqlite":
        return make_url(f"sqlite:///{tmp_path}/ledger.db")
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database("t" + os.urandom(8).hex())


@pytest.fixture
def ledger(ledger_url: URL) -> Iterator[Ledger]:
    """A ledger with all its tables."""
    made = Ledger(ledger_url)
    made.upgrade()
    yield made
    made.dispose()

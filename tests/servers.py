"""RabbitMQ and PostgreSQL of a test's own, on free ports and in a folder that goes with them.

With `DICOM_ROUTER_TEST_AMQP` and `DICOM_ROUTER_TEST_POSTGRESQL` set to URLs, the servers there are
used instead, where a test does not kill them: each site gets a database of its own there.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.engine import URL

from tests.certificates import Certificates
from tests.programs import Program, free_port, missing, wait_until

INSTALLED = "is not installed (scripts/install_peers.sh installs it)"


def postgresql_programs() -> Path:
    """The folder of initdb and postgres: the newest installed one, or from PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name)
    )
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    found = shutil.which("initdb")
    if found is None or shutil.which("postgres") is None:
        raise missing(f"PostgreSQL {INSTALLED}")
    return Path(found).resolve().parent


def unprivileged() -> str | None:
    """Whom to run PostgreSQL as: it refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise missing("PostgreSQL refuses to run as root, and there is no other user")


class PostgreSql:
    """A server in `folder`, which must be reachable for its user. `start`, `kill`, `stop`."""

    def __init__(self, folder: Path, tls: Certificates | None = None) -> None:
        """With `tls` it speaks that too, and wants a certificate of the user `careful`."""
        self._programs = postgresql_programs()
        self._data = folder / "data"
        self._user = unprivileged()
        if self._user is not None:
            shutil.chown(folder, self._user)
        self.port = free_port()
        self.url = make_url(f"postgresql+psycopg://ledger@127.0.0.1:{self.port}/postgres")
        self._run("initdb", "-D", str(self._data), "-U", "ledger", "-A", "trust", "--no-sync")
        if tls is not None:
            self._encrypt(tls)

    def _encrypt(self, tls: Certificates) -> None:
        self._place("server.crt", tls.server.read_text())
        self._place("server.key", tls.server_key.read_text())
        self._place("root.crt", tls.ca.read_text())
        self._place("pg_hba.conf", _CAREFUL + (self._data / "pg_hba.conf").read_text())
        with (self._data / "postgresql.auto.conf").open("a") as settings:
            settings.write("ssl = on\nssl_ca_file = 'root.crt'\n")

    def _place(self, name: str, content: str) -> None:
        file = self._data / name
        file.write_text(content)
        file.chmod(0o600)
        if self._user is not None:
            shutil.chown(file, self._user)

    def show(self, certificate: Path) -> None:
        """Use another certificate of the same key from the next start on."""
        self._place("server.crt", certificate.read_text())

    def _run(self, program: str, *arguments: str, seconds: float = 60) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            timeout=seconds,
        )

    def start(self, *, fsync: bool = False, settings: str = "") -> None:
        """Start it, also after a kill, and wait until it answers."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._data} "
            f"-c fsync={'on' if fsync else 'off'} -c max_connections=300 {settings}"
        )
        log = str(self._data / "log")
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", log, "-o", options)

    def stop(self) -> None:
        """At once, without waiting for who is connected."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._data))

    @property
    def pid(self) -> int:
        """Of the process whose children all others are."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """As a power cut would, as far as processes are concerned."""
        postmaster = self.pid
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: not _lives(postmaster), "the end of PostgreSQL")

    def new_database(self, template: str = "template1") -> URL:
        """A database of its own: a copy of the template."""
        return new_database(self.url, template)


_CAREFUL = "hostssl all careful 127.0.0.1/32 trust clientcert=verify-ca\n"


def new_database(server: URL, template: str = "template1") -> URL:
    """A database of its own on this server."""
    name = "t" + os.urandom(8).hex()
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    admin.dispose()
    return server.set(database=name)


@contextlib.contextmanager
def postgresql(tls: Certificates | None = None) -> Iterator[PostgreSql]:
    """A server that runs until the block ends."""
    # Not pytest's folder: only its own user may look into that.
    folder = Path(tempfile.mkdtemp(prefix="dicom-router-postgresql-"))
    try:
        server = PostgreSql(folder, tls)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class RabbitMq:
    """A RabbitMQ node in `folder`, with an epmd of its own. `start`, `kill`, `forget`."""

    def __init__(self, folder: Path, tls: Certificates | None = None) -> None:
        """With `tls` there is a second listener, at `tls_port`."""
        self._folder = folder
        self._server = _rabbitmq_program("rabbitmq-server")
        self._control = _rabbitmq_program("rabbitmqctl")
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self.tls_port = free_port()
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "log.file.level = warning"]
        if tls is not None:
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
                f"ssl_options.cacertfile = {tls.ca}",
                f"ssl_options.certfile = {folder}/server.pem",
                f"ssl_options.keyfile = {tls.server_key}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = false",
            ]
            shutil.copy(tls.server, folder / "server.pem")
        (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (folder / "plugins").write_text("[].\n")
        self._environ = {
            **os.environ,
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_NODENAME": f"n{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "no-such-file"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # Nothing here is worth busy-waiting for on a machine that others share.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        self._epmd: subprocess.Popen[bytes] | None = None
        self._program: Program | None = None
        self._hosts: list[str] = []  # made and not yet given to a test

    def start(self, *, wait: bool = True) -> None:
        """Start it, also after a kill; with `wait`, until it takes connections."""
        if self._epmd is None:
            self._epmd = subprocess.Popen(
                [_epmd()], env=self._environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        self._program = Program(
            [self._server], self._folder / "server.log", self._environ, own_group=True
        )
        if wait:
            self._program.wait_for_port(self.port, 60)

    @property
    def pid(self) -> int:
        """Of the process whose descendant the node is."""
        assert self._program is not None
        return self._program.pid

    def kill(self) -> None:
        """As a power cut would, as far as processes are concerned, for queues that are not new.

        RabbitMQ 3.10 keeps the names of quorum queues in a table that it writes to disk only every
        three minutes; killed before that, it never serves those queues again.
        """
        if self._program is not None and self._program.running():
            self.control("eval", "[ok = dets:sync(Table) || Table <- dets:all()].")
            os.killpg(self._program.pid, signal.SIGKILL)
            self._program.process.wait()
        self._program = None

    def forget(self, url: str) -> None:
        """Lose all queues of this virtual host, with all that is in them."""
        host = urllib.parse.unquote(url.rpartition("/")[2])
        for name in self.control("list_queues", "-p", host, "--no-table-headers", "name").split():
            self.control("delete_queue", "-p", host, name)

    def stop(self) -> None:
        """End it and all that came with it."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` answers."""
        done = subprocess.run(
            [self._control, "-q", *words],
            env=self._environ,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout

    def show(self, certificate: Path) -> None:
        """Use another certificate of the same key from now on."""
        shutil.copy(certificate, self._folder / "server.pem")
        self.control("eval", "ssl:clear_pem_cache().")

    def encrypted(self, url: str) -> str:
        """The URL of the same virtual host by TLS."""
        return url.replace("amqp:", "amqps:").replace(f":{self.port}/", f":{self.tls_port}/")

    def new_host(self) -> str:
        """The URL of a virtual host of its own for one test."""
        if not self._hosts:
            self._hosts = ["t" + os.urandom(8).hex() for _ in range(HOSTS)]
            self.control("eval", _ADD_HOSTS % ", ".join(f'<<"{name}">>' for name in self._hosts))
        return self.url.replace("%2F", self._hosts.pop())


HOSTS = 8
"""Made at once: to call the node takes half a second, however much it is told."""
_ADD_HOSTS = (
    '[begin rabbit_vhost:add(Name, <<"test">>), '
    'rabbit_auth_backend_internal:set_permissions(<<"guest">>, Name, '
    '<<".*">>, <<".*">>, <<".*">>, <<"test">>) end || Name <- [%s]].'
)


@contextlib.contextmanager
def rabbitmq(tls: Certificates | None = None) -> Iterator[RabbitMq]:
    """A node that runs until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="dicom-router-rabbitmq-"))
    try:
        server = RabbitMq(folder, tls)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rabbitmq_program(name: str) -> Path:
    # Debian's in /usr/sbin is a wrapper that becomes another user; we run as whoever we are.
    for found in (Path("/usr/lib/rabbitmq/bin") / name, shutil.which(name)):
        if found is not None and Path(found).exists():
            return Path(found)
    raise missing(f"RabbitMQ {INSTALLED}")


def _epmd() -> str:
    found = shutil.which("epmd")
    if found is None:
        raise missing(f"epmd (Erlang) {INSTALLED}")
    return found


def _lives(pid: int) -> bool:
    """A child of another process that has ended and was not waited for counts as gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@dataclass(frozen=True)
class Servers:
    """A RabbitMQ and a PostgreSQL: of our own, or those that the environment names."""

    rabbitmq: RabbitMq | None
    postgresql: PostgreSql | None

    def broker(self) -> str:
        """The URL of a broker without old tickets, or the one that was given."""
        return os.environ[GIVEN_BROKER] if self.rabbitmq is None else self.rabbitmq.new_host()

    def ledger(self) -> str:
        """The URL of a new database."""
        if self.postgresql is not None:
            url = self.postgresql.new_database()
        else:
            url = new_database(make_url(os.environ[GIVEN_LEDGER]))
        return url.render_as_string(hide_password=False)


GIVEN_BROKER = "DICOM_ROUTER_TEST_AMQP"
GIVEN_LEDGER = "DICOM_ROUTER_TEST_POSTGRESQL"


@contextlib.contextmanager
def servers(tls: Certificates | None = None) -> Iterator[Servers]:
    """Both, until the block ends."""
    with contextlib.ExitStack() as running:
        broker = None if GIVEN_BROKER in os.environ else running.enter_context(rabbitmq(tls))
        ledger = None if GIVEN_LEDGER in os.environ else running.enter_context(postgresql(tls))
        yield Servers(broker, ledger)

"""The router as a process that a test may kill and start again on the same files."""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from router.ledger import Ledger
from tests.programs import Program, RouterProgram, free_port, wait_until

IMPATIENT = {
    "retry": {"first": "200ms", "factor": 2, "most": "2s", "give_up_after": "1h"},
    "probe": {"first": "200ms", "factor": 1.5, "most": "1s"},
}
"""Retry and probe times for tests: what takes minutes on a site takes moments here."""


DICOM_ROUTER = Path(sys.executable).with_name("dicom-router")

ROLES = ("conductor", "ingress", "worker rules", "worker egress")


@dataclass(frozen=True)
class Cluster:
    """How a site is run on several processes: where its ledger and its broker are, made anew for
    each site, what processes there are, and further settings, which name its store."""

    ledger: Callable[[], str]
    broker: Callable[[], str]
    roles: Sequence[str] = ROLES
    settings: Callable[[], Mapping[str, object]] = dict


CLUSTER: ContextVar[Cluster | None] = ContextVar("CLUSTER", default=None)
"""What sites are run on where the test does not say."""


def dicom(name: str, port: int, **settings: object) -> dict[str, object]:
    """A DICOM destination on this machine."""
    where = {"ae_title": name.upper()[:16], "host": "127.0.0.1", "port": port, **settings}
    return {"name": name, "dicom": where, **IMPATIENT}


class RouterUnderTest:
    """A site in a folder, and the process that runs it; or the processes, in a `Cluster`."""

    def __init__(
        self,
        folder: Path,
        *,
        destinations: Sequence[Mapping[str, object]],
        routes: Sequence[Mapping[str, object]],
        ledger_file: Path | None = None,
        cluster: Cluster | None = None,
        forked: bool = True,
        **settings: object,
    ) -> None:
        """`cluster`: which processes, on which servers; None: as the test is run now. `forked`:
        its processes need not start and import all anew; False where that is looked at."""
        self.folder = folder
        self.ledger_file = ledger_file or folder / "var" / "ledger.db"
        self.port = free_port()
        self.metrics_port = free_port()
        self.programs: list[Program] = []
        self._cluster = cluster or CLUSTER.get()
        self._forked = forked
        self._runs = 0
        (folder / "rules").mkdir(parents=True)
        self._ledger = f"sqlite:///{self.ledger_file}"
        self.broker = "memory://"
        places: dict[str, object] = {}
        if self._cluster is not None:
            self._ledger, self.broker = self._cluster.ledger(), self._cluster.broker()
            places = {"broker": self.broker, "spool": "var/spool", **self._cluster.settings()}
        self._engine = _looking_into(self._ledger)
        weakref.finalize(self, self._engine.dispose)
        site = {
            "listeners": [{"name": "main", "ae_title": "ROUTER", "port": self.port}],
            "destinations": list(destinations),
            "free_space": {"low": "50MB", "high": "60MB"},
            "metrics": {"port": self.metrics_port},
            "ledger": self._ledger,
            **places,
            **settings,
        }
        (folder / "site.yaml").write_text(yaml.safe_dump(site))
        (folder / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": list(routes)}))
        if self._cluster is not None:
            self._make_ledger()

    @property
    def program(self) -> Program | None:
        """The one process; in a cluster the conductor."""
        return self.programs[0] if self.programs else None

    @property
    def pid(self) -> int:
        assert self.program is not None
        return self.program.pid

    @property
    def ledger_url(self) -> str:
        """Where the ledger is, for a test that looks into it or prepares it."""
        return self._ledger

    def _make_ledger(self) -> None:
        """As the migration job of a cluster does."""
        ledger = Ledger(self._ledger)
        ledger.upgrade()
        ledger.dispose()

    def start(self, *, environ: Mapping[str, str] | None = None) -> None:
        """Start the process, or all of them, and wait until they are ready."""
        roles = ("run",) if self._cluster is None else self._cluster.roles
        self.programs = [
            self.launch(role, metrics_port=0 if number else self.metrics_port, environ=environ)
            for number, role in enumerate(roles)
        ]
        for program in self.programs:
            program.wait_for_line(r"^ready$", 60)

    def write_site(self, name: str, change: Callable[[str], str]) -> None:
        """Another file of the same site, in which something differs."""
        text = (self.folder / "site.yaml").read_text()
        assert change(text) != text
        (self.folder / name).write_text(change(text))

    def launch(
        self,
        role: str,
        *,
        metrics_port: int = 0,
        environ: Mapping[str, str] | None = None,
        site_file: str = "site.yaml",
    ) -> Program:
        """Start one process of this role, and do not wait for it. With an `environ`, which an
        interpreter reads at its start, it has one of its own."""
        self._runs += 1
        words = [*role.split(), "--metrics-port", str(metrics_port)]
        begin = RouterProgram if environ is None and self._forked else Program
        return begin(
            [DICOM_ROUTER, *words, "--config", self.folder / site_file],
            self.folder / f"run-{self._runs}-{role.replace(' ', '-')}.log",
            environ,
        )

    def replace(self, role: str) -> None:
        """Kill the first process of this role, and start another."""
        index = next(n for n, one in enumerate(self.programs) if role in " ".join(one.command))
        self.programs[index].kill()
        self.programs[index] = self.launch(role)
        self.programs[index].wait_for_line(r"^ready$", 60)

    def kill(self) -> None:
        """As a power cut would, for these processes."""
        for program in self.programs:
            program.kill()

    def stop(self) -> int:
        """As an administrator would; the worst exit code."""
        for program in self.programs:
            if program.running():
                program.process.terminate()
        return max((program.stop(60) for program in self.programs), default=0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Read the ledger from outside."""
        for number in range(len(values)):
            sql = sql.replace("?", f":v{number}", 1)
        wanted = {f"v{number}": value for number, value in enumerate(values)}
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), wanted)]

    def change(self, sql: str) -> None:
        """Change the ledger from outside: time that passes, mostly."""
        with self._engine.begin() as connection:
            connection.execute(text(sql))

    def count(self, sql: str, *values: object) -> int:
        """The one number that `sql` asks for."""
        ((number,),) = self.ask(sql, *values)
        assert isinstance(number, int)
        return number

    def wait_until_settled(self, acknowledged: Collection[str], seconds: float = 120.0) -> None:
        """Until these SOP instances are in the ledger, and every delivery is final."""
        instances = "SELECT count(DISTINCT sop_instance_uid) FROM objects"
        wait_until(lambda: self.count(instances) >= len(acknowledged), "intake", seconds)
        open_work = (
            "SELECT (SELECT count(*) FROM objects WHERE state = 'received') + "
            "(SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'leased'))"
        )
        wait_until(lambda: self.count(open_work) == 0, "all deliveries", seconds)

    def resident_mb(self) -> float:
        """Resident memory of the process, in MB."""
        return self._status_mb("VmRSS")

    def peak_mb(self) -> float:
        """The most that was resident at once since the start or `forget_peak`, in MB."""
        return self._status_mb("VmHWM")

    def forget_peak(self) -> None:
        """Measure the peak from now on (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status_mb(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"no {name}")

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _looking_into(ledger: str) -> Engine:
    """For questions that are asked every moment while somebody waits: a connection to PostgreSQL,
    which costs more than a question, is kept; a file is left alone in between."""
    if ledger.startswith("sqlite"):
        return create_engine(ledger, poolclass=NullPool)
    return create_engine(ledger, pool_pre_ping=True)


def pause(seconds: float) -> None:
    """Let things go on for a while; for faults that must fall at a random moment."""
    time.sleep(seconds)

"""The router as a process that a test may kill and start again on the same files."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import yaml

from tests.programs import Program, free_port, wait_until

IMPATIENT = {
    "retry": {"first": "200ms", "factor": 2, "most": "2s", "give_up_after": "1h"},
    "probe": {"first": "200ms", "factor": 1.5, "most": "1s"},
}
"""Retry and probe times for tests: what takes minutes on a site takes moments here."""


def dicom(name: str, port: int, **settings: object) -> dict[str, object]:
    """A DICOM destination on this machine."""
    where = {"ae_title": name.upper()[:16], "host": "127.0.0.1", "port": port, **settings}
    return {"name": name, "dicom": where, **IMPATIENT}


class RouterUnderTest:
    """A site in a folder, and the process that runs it."""

    def __init__(
        self,
        folder: Path,
        *,
        destinations: Sequence[Mapping[str, object]],
        routes: Sequence[Mapping[str, object]],
        ledger_file: Path | None = None,
        **settings: object,
    ) -> None:
        self.folder = folder
        self.ledger_file = ledger_file or folder / "var" / "ledger.db"
        self.port = free_port()
        self.metrics_port = free_port()
        self._runs = 0
        (folder / "rules").mkdir(parents=True)
        site = {
            "listeners": [{"name": "main", "ae_title": "ROUTER", "port": self.port}],
            "destinations": list(destinations),
            "free_space": {"low": "50MB", "high": "60MB"},
            "metrics": {"port": self.metrics_port},
            "ledger": f"sqlite:///{self.ledger_file}",
            **settings,
        }
        (folder / "site.yaml").write_text(yaml.safe_dump(site))
        (folder / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": list(routes)}))
        self.program: Program | None = None

    @property
    def pid(self) -> int:
        assert self.program is not None
        return self.program.pid

    def start(self, *, environ: Mapping[str, str] | None = None) -> None:
        """Start the process and wait until it is ready."""
        self._runs += 1
        self.program = Program(
            [
                Path(sys.executable).with_name("dicom-router"),
                "run",
                "--config",
                self.folder / "site.yaml",
            ],
            self.folder / f"run-{self._runs}.log",
            environ,
        )
        self.program.wait_for_line(r"^ready$")

    def kill(self) -> None:
        """As a power cut would, for this process."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.program is not None
        self.program.process.wait()

    def stop(self) -> int:
        """As an administrator would."""
        return self.program.stop(60) if self.program is not None else 0

    def __enter__(self) -> RouterUnderTest:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Read the ledger from outside."""
        with sqlite3.connect(
            f"file:{self.ledger_file}?mode=ro", uri=True, timeout=30
        ) as connection:
            rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

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


def pause(seconds: float) -> None:
    """Let things go on for a while; for faults that must fall at a random moment."""
    time.sleep(seconds)

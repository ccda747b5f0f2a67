"""Processes under measurement: started, waited for, their CPU time and peak memory read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def path_to_others(path: str) -> str:
    """PATH without our own folder: pynetdicom puts programs named like DCMTK's there."""
    ours = Path(sys.executable).parent.resolve()
    folders = path.split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if Path(folder).resolve() != ours)


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, and the largest resident memory in MB."""

    cpu: float
    peak_mb: float


class Measured:
    """A child process."""

    def __init__(
        self,
        command: Sequence[object],
        folder: Path,
        *,
        environ: Mapping[str, str] | None = None,
        name: str = "peer",
    ) -> None:
        self.command = [str(word) for word in command]
        self.log = folder / f"{name}.log"
        self._output = self.log.open("ab")
        self.process = subprocess.Popen(
            self.command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        )

    def wait_for_port(self, port: int, seconds: float = 30.0) -> None:
        """Until it listens; SystemExit with its output if it ends before."""
        wanted = f":{port:04X}"
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
            if any(
                line.split()[1].endswith(wanted) and line.split()[3] == "0A"
                for line in tables.splitlines()
                if ":" in line.split()[0] and line.split()[0][0].isdigit()
            ):
                return
            time.sleep(0.02)
        raise SystemExit(f"{self.command[0]} did not listen:\n{self.log.read_text()[-2000:]}")

    def usage(self) -> Usage:
        """Of the process and of its children, those already gone included."""
        return usage_of(self.process.pid)

    def stop(self) -> None:
        """End it, politely at first."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()


def usage_of(root: int) -> Usage:
    """Of any process and its children."""
    cpu = peak = 0.0
    for pid in _family(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue  # gone meanwhile: its parent counts it when it has waited for it
        cpu += sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICK
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]) / 1024)
    return Usage(cpu, peak)


def _family(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = (task / "children").read_text().split()
            for child in children:
                found += _family(int(child))
    except OSError:
        pass
    return found

"""A router with one live destination and any others, and the live one's rate."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import contestants
from bench.null_receiver import counts
from bench.processes import Measured, free_port

DestinationSettings = dict[str, object]


def dicom(name: str, port: int, **settings: object) -> DestinationSettings:
    """A DICOM destination on this machine."""
    where = {"ae_title": name.upper(), "host": "127.0.0.1", "port": port, **settings}
    return {"name": name, "dicom": where}


def misbehaving(folder: Path, name: str, delay: float) -> tuple[Measured, int]:
    """A receiver that answers each object only after so many seconds."""
    port = free_port()
    command = [sys.executable, "-m", "bench.null_receiver", port, 1 << 20, delay]
    process = Measured(command, Path.cwd(), name=str(folder / name))
    process.wait_for_port(port)
    return process, port


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Objects a second at `live`, from the first sent on; CPU of the router for each."""

    rate: float
    cpu_ms: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s at {self.cpu_ms:.2f} ms"


@dataclass
class LiveSite:
    """A router in a folder, and the receiver that is its destination `live`."""

    folder: Path
    router: Measured
    port: int
    receiver: Measured
    started_in: float

    def play(self, count: int, kind: str, associations: int) -> Played:
        """Send so many, and wait until the last of them has arrived at `live`."""
        run = time.time_ns()
        cpu = self.router.usage().cpu
        before = self.arrived()[0]
        words = [self.port, "ROUTER", count, associations, kind, run]
        done = subprocess.run(
            [sys.executable, "-m", "bench.blaster", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode:
            raise SystemExit(f"sending failed:\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout)
        if told["statuses"] != {"0000": count}:
            raise SystemExit(f"the router answered {told['statuses']}")
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            arrived, at = self.arrived()
            if arrived - before >= count:
                cpu = self.router.usage().cpu - cpu
                return Played(rate=count / (at - told["began"]), cpu_ms=cpu * 1000 / count)
            time.sleep(0.05)
        raise SystemExit(f"only {self.arrived()[0] - before} of {count} objects arrived")

    def stop(self) -> None:
        """End both."""
        self.router.process.kill()  # a stop would wait for what hangs
        self.router.stop()
        self.receiver.stop()

    def arrived(self) -> tuple[int, float]:
        """How many objects came to `live`, and when the last did (monotonic seconds)."""
        told = counts(self.receiver.log)
        return (told[-1].count, told[-1].at) if told else (0, 0.0)


def start_site(
    folder: Path,
    others: Sequence[DestinationSettings] = (),
    *,
    send_to: Sequence[str] = ("live",),
    settings: Mapping[str, object] | None = None,
) -> LiveSite:
    """Start it in this folder; what lies there already (a ledger) it takes over. `settings`: more
    of the site's file."""
    receiver = contestants.null_receiver(folder)
    port = free_port()
    site = {
        "listeners": [
            {"name": "main", "ae_title": "ROUTER", "port": port, "max_associations": 1000}
        ],
        "destinations": [dicom("live", receiver.port, associations=4), *others],
        "metrics": "off",
        "log": {"level": "error"},
        "free_space": {"low": "1GB", "high": "1GB"},
        **(settings or {}),
    }
    (folder / "rules").mkdir()
    route = {"name": "all", "send_to": list(send_to)}
    (folder / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": [route]}))
    (folder / "site.yaml").write_text(yaml.safe_dump(site))
    began = time.monotonic()
    router = Measured(
        [sys.executable, "-m", "workers", "run", "--config", folder / "site.yaml"],
        Path.cwd(),
        name=str(folder / "router"),
    )
    router.wait_for_port(port)
    return LiveSite(folder, router, port, receiver.process, time.monotonic() - began)

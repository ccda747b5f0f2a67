"""What is measured, and by whom: each scenario is a list of contestants and one kind of round."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import contestants
from bench.contestants import NODELAY, Running, Start
from bench.corpus import write_files
from bench.null_receiver import counts
from bench.processes import Measured

ONE_RULE: list[dict[str, object]] = [
    {"name": "CT to the sink", "when": {"Modality": "CT"}, "send_to": ["sink"]}
]
ONE_EDIT: list[dict[str, object]] = [
    {
        "name": "CT to the sink",
        "when": {"Modality": "CT"},
        "edits": [
            {"set": {"InstitutionName": "Example Hospital"}},
            {"prefix": {"PatientID": "EH-"}},
            {"remove": ["PatientComments"]},
        ],
        "send_to": ["sink"],
    }
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One round of one contestant. Objects a second; CPU and memory of the contestant alone."""

    rate: float
    cpu_ms: float
    peak_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`first` is this router; every other contestant is compared with it pair by pair."""

    name: str
    kind: str
    count: int
    associations: int
    contestants: dict[str, Start]
    play: Callable[[Scenario, Start, int], Figures] = field(repr=False)
    fewer: dict[str, int] = field(default_factory=dict)
    """Objects for contestants that would take minutes with all of them."""

    def for_one(self, contestant: str) -> Scenario:
        """The scenario as this contestant plays it."""
        return replace(self, count=self.fewer.get(contestant, self.count))


def receive(scenario: Scenario, start: Start, run: int) -> Figures:
    """From the blaster into the contestant; counted by what it answered with Success."""
    with _folder() as folder:
        contestant = start(folder, None)
        try:
            before = contestant.process.usage()
            told = _blast(scenario, contestant, run)
            after = contestant.process.usage()
        finally:
            contestant.process.stop()
        return Figures(
            rate=scenario.count / told["seconds"],
            cpu_ms=(after.cpu - before.cpu) * 1000 / scenario.count,
            peak_mb=after.peak_mb,
        )


def end_to_end(scenario: Scenario, start: Start, run: int) -> Figures:
    """From the blaster through the contestant to a receiver that counts every object."""
    with _folder() as folder:
        sink = contestants.null_receiver(folder)
        contestant = start(folder, sink.port)
        try:
            before = contestant.process.usage()
            told = _blast(scenario, contestant, run)
            arrived_at = _await_count(sink.process, scenario.count, patience=300)
            after = contestant.process.usage()
        finally:
            contestant.process.stop()
            sink.process.stop()
        return Figures(
            rate=scenario.count / (arrived_at - told["began"]),
            cpu_ms=(after.cpu - before.cpu) * 1000 / scenario.count,
            peak_mb=after.peak_mb,
        )


def send(command: Callable[[Path, Running], list[object]], environ: dict[str, str]) -> Start:
    """A sender as a contestant: what it is given is the receiver's port."""

    def start(folder: Path, forward: int | None) -> Running:
        assert forward is not None
        target = Running(process=None, port=forward, called="NULL")  # type: ignore[arg-type]
        process = Measured(
            command(folder / "files", target),
            Path.cwd(),
            environ=environ,
            name=str(folder / "send"),
        )
        return Running(process, forward, "NULL")

    return start


def sending(scenario: Scenario, start: Start, run: int) -> Figures:
    """From files on disk to a receiver that counts; the contestant is the sender."""
    with _folder() as folder:
        write_files(folder / "files", scenario.kind, scenario.count, run)
        sink = contestants.null_receiver(folder)
        try:
            sender = start(folder, sink.port)
            arrived_at = _await_count(sink.process, scenario.count, patience=300)
            first = counts(sink.process.log)[0]
            _, status, usage = os.wait4(sender.process.process.pid, 0)
            if status:
                raise SystemExit(sender.process.log.read_text()[-2000:])
        finally:
            sink.process.stop()
        # The first line is written up to 20 ms after the first object; start-up is not counted.
        took = arrived_at - first.at
        return Figures(
            rate=(scenario.count - first.count) / took,
            cpu_ms=(usage.ru_utime + usage.ru_stime) * 1000 / scenario.count,
            peak_mb=usage.ru_maxrss / 1024,
        )


def _blast(scenario: Scenario, contestant: Running, run: int) -> dict[str, float]:
    words = [contestant.port, contestant.called, scenario.count, scenario.associations]
    done = subprocess.run(
        [sys.executable, "-m", "bench.blaster", *map(str, words), scenario.kind, str(run)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise SystemExit(f"sending to {contestant.called} failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout)
    if told["statuses"] != {"0000": scenario.count}:
        raise SystemExit(f"{contestant.called} answered {told['statuses']}")
    return {"seconds": told["seconds"], "began": told["began"]}


def _await_count(process: Measured, count: int, patience: float) -> float:
    """When the receiver had counted them all (monotonic seconds)."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        told = counts(process.log)
        if told and told[-1].count >= count:
            return told[-1].at
        time.sleep(0.05)
    raise SystemExit(f"only {told[-1].count if told else 0} of {count} objects arrived")


class _folder:  # noqa: N801  used as a function
    """A folder for one round. It is not deleted before the end of the whole run: a file system
    that has just deleted many files makes new ones an order of magnitude slower for minutes."""

    def __enter__(self) -> Path:
        root = Path(os.environ.get("BENCH_FOLDER", tempfile.gettempdir())) / "dicom-router-bench"
        root.mkdir(parents=True, exist_ok=True)
        os.sync()
        return Path(tempfile.mkdtemp(dir=root))

    def __exit__(self, *_: object) -> None:
        pass


def clean_up() -> None:
    """Delete what all rounds have written."""
    root = Path(os.environ.get("BENCH_FOLDER", tempfile.gettempdir())) / "dicom-router-bench"
    shutil.rmtree(root, ignore_errors=True)


def _our_send(files: Path, target: Running) -> list[object]:
    return [
        sys.executable, "-m", "workers", "send", files, "--to", f"127.0.0.1:{target.port}",
        "--as", "BENCH", "--called", "NULL", "--json",
    ]  # fmt: skip


def _dcmsend(files: Path, target: Running) -> list[object]:
    return ["dcmsend", "--scan-directories", "--max-pdu", "131072", "127.0.0.1", target.port, files]


def _storescu(files: Path, target: Running) -> list[object]:
    return [
        "storescu",
        "--scan-directories",
        "--max-pdu",
        "131072",
        "127.0.0.1",
        target.port,
        files,
    ]


def all_scenarios(quick: bool) -> list[Scenario]:
    """Every scenario of bench/README.md; `quick` ones are short and prove only that they run."""
    scale = 10 if quick else 1
    found = []
    for associations in (1, 4, 10):
        found += [_receiving(kind, associations, scale) for kind in ("ct", "small")]
    found += [_receiving_as_shipped(scale), _sending("ct", scale), _sending("small", scale)]
    found += [_sending_as_shipped(scale)]
    found += [_through("one rule", ONE_RULE, 1, scale), _through("one edit", ONE_EDIT, 1, scale)]
    found += [_through("one rule", ONE_RULE, 4, scale)]
    return found


def _receiving(kind: str, associations: int, scale: int) -> Scenario:
    fork = () if associations == 1 else ("--fork",)
    peers: dict[str, Start] = {
        "router, not durable": contestants.router("unsafe"),
        "router, durable": contestants.router("local"),
        "storescp": contestants.storescp(*fork, environ=NODELAY),
        "storescp --bit-preserving": contestants.storescp(
            "--bit-preserving", *fork, environ=NODELAY
        ),
        "Orthanc, SyncStorageArea": contestants.orthanc(sync=True, environ=NODELAY),
        "pynetdicom, raw bytes": contestants.pynetdicom(),
        "pynetdicom, its storescp": contestants.pynetdicom_application(),
    }
    return Scenario(
        name=f"receive {kind}, {associations} associations",
        kind=kind,
        count=(1000 if kind == "ct" else 2000) // scale,
        associations=associations,
        contestants=peers,
        play=receive,
        fewer={
            "pynetdicom, raw bytes": 300 // scale,
            "pynetdicom, its storescp": 200 // scale,
            "Orthanc, SyncStorageArea": 300 // scale,
        },
    )


def _receiving_as_shipped(scale: int) -> Scenario:
    return Scenario(
        name="receive ct from storescu as shipped (Nagle on)",
        kind="ct",
        count=200 // scale,
        associations=1,
        contestants={
            "router, durable": contestants.router("local"),
            "storescp": contestants.storescp(),
        },
        play=receive_from_storescu,
    )


def receive_from_storescu(scenario: Scenario, start: Start, run: int) -> Figures:
    """DCMTK's storescu with Nagle's algorithm on, as it is shipped, into the contestant."""
    with _folder() as folder:
        write_files(folder / "files", scenario.kind, scenario.count, run)
        contestant = start(folder, None)
        try:
            before = contestant.process.usage()
            began = time.monotonic()
            command = ["storescu", "--scan-directories", "-aec", contestant.called]
            command += ["127.0.0.1", str(contestant.port), str(folder / "files")]
            subprocess.run(command, check=True, timeout=300, capture_output=True)
            took = time.monotonic() - began
            after = contestant.process.usage()
        finally:
            contestant.process.stop()
        return Figures(
            rate=scenario.count / took,
            cpu_ms=(after.cpu - before.cpu) * 1000 / scenario.count,
            peak_mb=after.peak_mb,
        )


def _sending(kind: str, scale: int) -> Scenario:
    return Scenario(
        name=f"send {kind} from files",
        kind=kind,
        count=2000 // scale,
        associations=1,
        contestants={
            "router send": send(_our_send, {}),
            "dcmsend": send(_dcmsend, NODELAY),
            "storescu": send(_storescu, NODELAY),
        },
        play=sending,
    )


def _sending_as_shipped(scale: int) -> Scenario:
    return Scenario(
        name="send ct to storescp as shipped (Nagle on)",
        kind="ct",
        count=200 // scale,
        associations=1,
        contestants={"router send": send(_our_send, {}), "dcmsend": send(_dcmsend, {})},
        play=sending_to_storescp,
    )


def sending_to_storescp(scenario: Scenario, start: Start, run: int) -> Figures:
    """From files on disk to DCMTK's storescp with Nagle's algorithm on, as it is shipped."""
    with _folder() as folder:
        write_files(folder / "files", scenario.kind, scenario.count, run)
        receiver = contestants.storescp("--ignore")(folder, None)
        try:
            began = time.monotonic()
            sender = start(folder, receiver.port)
            _, status, usage = os.wait4(sender.process.process.pid, 0)
            took = time.monotonic() - began
            if status:
                raise SystemExit(sender.process.log.read_text()[-2000:])
        finally:
            receiver.process.stop()
        return Figures(
            rate=scenario.count / took,
            cpu_ms=(usage.ru_utime + usage.ru_stime) * 1000 / scenario.count,
            peak_mb=usage.ru_maxrss / 1024,
        )


def _through(what: str, routes: list[dict[str, object]], lines: int, scale: int) -> Scenario:
    peers: dict[str, Start] = {f"router, durable, {what}": contestants.router("local", routes)}
    if routes is ONE_RULE:
        peers["Orthanc, Lua"] = contestants.orthanc(sync=True, environ=NODELAY)
        if lines == 1:
            peers["storescp --exec storescu"] = contestants.storescp_forwarding()
    return Scenario(
        name=f"end to end ct, {what}, {lines} associations",
        kind="ct",
        count=2000 // scale,
        associations=lines,
        contestants=peers,
        play=end_to_end,
        fewer={"storescp --exec storescu": 100 // scale},
    )

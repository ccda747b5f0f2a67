"""Other programs as children of a test: started, waited for, and ended with it."""

import itertools
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests import nursery
from tests.nursery import Forked


def _own_ports() -> Iterator[int]:
    """Ports in an order of chance, each again only after all others, and none that another of
    pytest's processes gives out: between our finding one free and a child's listening on it,
    nobody else is to take it. For the same reason they lie below the range that the system
    takes for outgoing connections.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(15000 + number, 32000, processes))
    random.SystemRandom().shuffle(ports)
    return itertools.cycle(ports)


_PORTS = _own_ports()


def free_port() -> int:
    """A TCP port that nobody listens on."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


def needed(program: str) -> str:
    """The path of another maker's program; without it the test is skipped, and in CI it fails."""
    # pynetdicom puts some with the names of DCMTK's beside the interpreter: maybe in PATH, too.
    ours = Path(sys.executable).parent.resolve()
    folders = os.environ.get("PATH", "").split(os.pathsep)
    others = [folder for folder in folders if Path(folder).resolve() != ours]
    path = os.pathsep.join([*others, "/usr/sbin", "/usr/local/bin", "/usr/bin"])
    found = shutil.which(program, path=path)
    if found is None:
        raise missing(f"{program} is not installed (scripts/install_peers.sh installs it)")
    return found


def missing(what: str) -> BaseException:
    """What to raise where a peer is not there: a skip, and in CI a failure."""
    if os.environ.get("CI") == "true":
        return pytest.fail.Exception(what)
    return pytest.skip.Exception(what)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Look again and again until it holds; other programs ring no bell when they are done."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


class Program:
    """A child process with its output in a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environ: Mapping[str, str] | None = None,
        *,
        own_group: bool = False,
    ) -> None:
        """`own_group`: it is the leader of a process group, which can be killed as one."""
        self.command = [str(word) for word in command]
        self.log = log
        with log.open("ab") as output:
            self.process = self._begin(
                output.fileno(), {**os.environ, **(environ or {})}, own_group
            )

    def _begin(
        self, output: int, environ: Mapping[str, str], own_group: bool
    ) -> subprocess.Popen[bytes] | Forked:
        return subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
            start_new_session=own_group,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def running(self) -> bool:
        return self.process.poll() is None

    def wait_for_port(self, port: int, seconds: float = 30.0) -> None:
        """Return once something listens on it; the child's end before that is a failure."""
        self._wait(lambda: _listening(port), f"port {port} of {self.command[0]}", seconds)

    def wait_for_line(self, pattern: str, seconds: float = 30.0) -> None:
        """Return once its output has a line that matches."""
        wanted = re.compile(pattern, re.MULTILINE)
        self._wait(lambda: wanted.search(self.output()) is not None, f"{pattern!r}", seconds)

    def stop(self, seconds: float = 20.0) -> int:
        """Ask it to end (SIGTERM), make it end (SIGKILL), and give its exit code."""
        if self.running():
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        self.process.kill()
        return self.process.wait()

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        def holds() -> bool:
            if condition():
                return True
            if not self.running():
                code = self.process.returncode
                raise AssertionError(
                    f"{self.command[0]} ended with {code} before {what}:\n{self.output()[-4000:]}"
                )
            return False

        wait_until(holds, what, seconds)


class RouterProgram(Program):
    """`dicom-router` as a child process, forked where its imports have been done already."""

    def _begin(self, output: int, environ: Mapping[str, str], own_group: bool) -> Forked:
        assert not own_group
        return nursery.start(self.command[1:], environ, output, output)


def dicom_router(*words: object, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """A command of the router, run to its end: its exit code and what it said."""
    command = [str(word) for word in words]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = nursery.start(command, os.environ, output.fileno(), errors.fileno())
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        for file in (output, errors):
            file.seek(0)
        return subprocess.CompletedProcess(command, code, output.read(), errors.read())


def _listening(port: int) -> bool:
    """Whether the kernel lists a listener there; to connect would be one association too many."""
    wanted = f"{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state == "0A" and local.rpartition(":")[2] == wanted:
                return True
    return False

"""Processes of the router without the second that an interpreter and its imports take each.

One process has imported everything and forks whatever a test starts. Each has its own id, files,
signals, memory and end like any other; the tests start hundreds of them.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from select import select
from typing import NoReturn

ROOT = Path(__file__).parent.parent
IMPORTED = (
    "alembic.command",
    "celery.app.amqp",
    "celery.backends.base",
    "celery.concurrency.thread",
    "celery.fixups.django",
    "celery.loaders.app",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.strategy",
    "kombu.transport.memory",
    "kombu.transport.pyamqp",
    "pydantic.type_adapter",
    "router.cli.sinking",
    "router.store.s3",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "workers.process",
)
"""What the router imports when it needs it."""
PROGRAM = "from tests.nursery import serve; serve({}); from workers.__main__ import main; main()"
MOST_BYTES = 1 << 17
STATUS = struct.Struct("=i")


class Forked:
    """One of these processes, from the outside: what a test uses of a `subprocess.Popen`."""

    def __init__(self, command: Sequence[str], pid: int, status: int) -> None:
        """`status`: where its exit code comes from."""
        self.args = list(command)
        self.pid = pid
        self.returncode: int | None = None
        self._status = status
        self._lock = threading.Lock()

    def __del__(self) -> None:
        os.close(self._status)

    def poll(self) -> int | None:
        """Its exit code if it has ended; negative: the signal that ended it."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The same once it has ended; subprocess.TimeoutExpired if it does not."""
        code = self._look(timeout)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def _look(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select([self._status], [], [], timeout)[0]:
                (self.returncode,) = STATUS.unpack(os.read(self._status, STATUS.size))
            return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ends just now
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Starts processes of the router; it ends with whoever made it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM.format(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
            )
        atexit.register(self.close)

    def start(
        self, words: Sequence[str], environ: Mapping[str, str], output: int, errors: int
    ) -> Forked:
        """`dicom-router` with these words; `output`, `errors`: the files that it writes to."""
        how = {"words": list(words), "environ": dict(environ), "folder": str(Path.cwd())}
        ours, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._line, [json.dumps(how).encode()], [output, errors, theirs])
                answer = self._line.recv(STATUS.size)
            (pid,) = STATUS.unpack(answer)
        finally:
            os.close(theirs)
        return Forked(words, pid, ours)

    def close(self) -> None:
        self._line.close()
        self._process.wait()


_nursery: list[Nursery] = []
_first = threading.Lock()


def start(words: Sequence[str], environ: Mapping[str, str], output: int, errors: int) -> Forked:
    """As `Nursery.start`, by the one of this process."""
    with _first:
        if not _nursery:
            _nursery.append(Nursery())
    return _nursery[0].start(words, environ, output, errors)


def serve(line: int) -> None:
    """In the process that forks: returns in each one forked, with all that is its own in place."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # meant for pytest, which then ends what it started
    sys.path.remove("")
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    children: dict[int, int] = {}
    signal.signal(signal.SIGCHLD, lambda *_: _tell(children))
    with socket.socket(fileno=line) as asked:
        while True:
            message, files, _, _ = socket.recv_fds(asked, MOST_BYTES, 3)
            if not message:
                _end()
            output, errors, status = files
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            pid = os.fork()
            if pid == 0:
                for file in (*children.values(), status):
                    os.close(file)
                break
            os.close(output)
            os.close(errors)
            children[pid] = status
            asked.send(STATUS.pack(pid))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    _become(json.loads(message), output, errors)


def _tell(children: dict[int, int]) -> None:
    """Pass on the exit codes of those who have ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        file = children.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # nobody wants to know
            os.write(file, STATUS.pack(os.waitstatus_to_exitcode(status)))
        os.close(file)


def _become(how: Mapping[str, object], output: int, errors: int) -> None:
    """What a new process of this command would find."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for file, place in ((output, 1), (errors, 2)):
        os.dup2(file, place)
        os.close(file)
    words, environ = how["words"], how["environ"]
    assert isinstance(words, list)
    assert isinstance(environ, dict)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(str(how["folder"]))
    sys.argv = ["dicom-router", *words]


def _end() -> NoReturn:
    """Without a word to processes that still run: they are the test's."""
    os._exit(0)

"""A few codec processes, kept warm, each for one frame at a time; replaced when they break.

A process that crashes, hangs or runs out of memory takes nothing with it: the frame failed. If it
had served other frames before, they may have broken it, and the frame gets one more try.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from router import metrics
from router.config import Codecs
from router.logs import get_logger
from router.transcoding.errors import CannotTranscode, CodecFailed, NoCodecs
from router.transcoding.work import HEAD, LONGEST_WORDS, OUT_OF_MEMORY, Done, Look, Work

START_SECONDS: Final = 60.0
"""A process imports its codecs in half a second; on a busy machine in several."""
GRACE_SECONDS: Final = 5.0
"""A process ends itself when a frame takes too long; after this much more it is killed."""
MOST_FRAMES: Final = 20_000
"""Frames after which a process is replaced: what its libraries leak then goes with it."""
PIPE_BYTES: Final = 1 << 20

T = TypeVar("T")
_Reader: TypeAlias = Callable[[dict[str, object], bytes], T]

log = get_logger("transcoding")


class CodecProcesses:
    """At most so many codec processes; started when they are first needed. Safe to use from many
    threads: whoever finds none free waits."""

    def __init__(self, settings: Codecs) -> None:
        self._settings = settings
        self._places = threading.BoundedSemaphore(settings.processes)
        self._mutex = threading.Lock()
        self._idle: list[_Process] = []
        self._closed = False

    def carry_out(self, work: Work, frame: bytes) -> Done:
        """The frame as the work wants it. CannotTranscode where it cannot be had, NoCodecs where
        no process can be started."""
        return self._asked(work, frame, _done)

    def look(self, look: Look, frame: bytes) -> int:
        """How many texts are in the frame, at least. Raises as `carry_out`."""
        return self._asked(look, frame, _texts)

    def _asked(self, work: Work | Look, frame: bytes, read: _Reader[T]) -> T:
        with self._places:
            process = self._take()
            was_used = process.frames > 0
            try:
                return self._tried(process, work, frame, read)
            except _Broken as broken:
                if not was_used or broken.cause == "timeout":
                    raise CodecFailed(_WORDS[broken.cause]) from None
                try:
                    return self._tried(self._started(), work, frame, read)
                except _Broken as again:
                    raise CodecFailed(_WORDS[again.cause]) from None

    def process_ids(self) -> list[int]:
        """Those that wait for work."""
        with self._mutex:
            return [process.id for process in self._idle]

    def close(self) -> None:
        """End the processes that wait; those at work end with their frame."""
        with self._mutex:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _tried(self, process: _Process, work: Work | Look, frame: bytes, read: _Reader[T]) -> T:
        keep = False
        try:
            done = read(*process.ask(work.words(), frame))
            keep = True
        except CannotTranscode:
            keep = True
            raise
        except _Broken as broken:
            metrics.CODEC_PROCESSES_LOST.labels(broken.cause).inc()
            log.warning("codec process lost", cause=broken.cause, syntax=work.source)
            raise
        finally:
            self._give(process, keep=keep)
        return done

    def _take(self) -> _Process:
        with self._mutex:
            if self._idle:
                return self._idle.pop()
        return self._started()

    def _started(self) -> _Process:
        try:
            return _Process(self._settings)
        except (OSError, _Broken) as error:
            raise NoCodecs(f"no codec process starts: {type(error).__name__}") from error

    def _give(self, process: _Process, *, keep: bool) -> None:
        with self._mutex:
            if keep and not self._closed and process.frames < MOST_FRAMES:
                self._idle.append(process)
                return
        process.end()


class _Broken(Exception):
    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


_WORDS = {
    "crash": "its codec crashed on a frame",
    "memory": "a frame needs more memory than codecs may have",
    "timeout": "a frame took longer than codecs may take",
    "nonsense": "its codec answered nonsense",
}


class _Process:
    """One codec process and the pipes to it."""

    def __init__(self, settings: Codecs) -> None:
        self._timeout = settings.timeout
        self.frames = 0
        command = [sys.executable, "-P", "-m", "router.transcoding.child"]
        self._process = subprocess.Popen(
            [*command, str(settings.memory), str(settings.timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        try:
            self._message(time.monotonic() + START_SECONDS)
        except _Broken:
            self.end()
            raise

    @property
    def id(self) -> int:
        return self._process.pid

    def ask(self, work: dict[str, object], frame: bytes) -> tuple[dict[str, object], bytes]:
        """What it answers; CannotTranscode where it says that it cannot."""
        deadline = time.monotonic() + self._timeout + GRACE_SECONDS
        self.frames += 1
        words = json.dumps(work).encode()
        self._write(HEAD.pack(len(words), len(frame)) + words, deadline)
        self._write(frame, deadline)
        answer, data = self._message(deadline)
        if "failed" in answer:
            raise CannotTranscode(str(answer["failed"])[:200])
        return answer, data

    def end(self) -> None:
        """Kill it: it has nothing to tidy up."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _message(self, deadline: float) -> tuple[dict[str, object], bytes]:
        words_length, length = HEAD.unpack(self._read(HEAD.size, deadline))
        if words_length > LONGEST_WORDS:
            raise _Broken("nonsense")
        try:
            words = json.loads(self._read(words_length, deadline))
        except ValueError:
            raise _Broken("nonsense") from None
        if not isinstance(words, dict):
            raise _Broken("nonsense")
        return words, self._read(length, deadline)

    def _write(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        wait = _waiting(self._to, select.POLLOUT, deadline)
        while rest:
            try:
                rest = rest[os.write(self._to, rest[:PIPE_BYTES]) :]
            except BlockingIOError:
                wait()
            except BrokenPipeError:
                raise self._lost() from None

    def _read(self, length: int, deadline: float) -> bytes:
        gathered = bytearray()
        wait = _waiting(self._from, select.POLLIN, deadline)
        while len(gathered) < length:
            try:
                data = os.read(self._from, min(PIPE_BYTES, length - len(gathered)))
            except BlockingIOError:
                wait()
                continue
            if not data:
                raise self._lost()
            gathered += data
        return bytes(gathered)

    def _lost(self) -> _Broken:
        """The pipe has ended: how the process did."""
        try:
            code = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return _Broken("nonsense")
        return _Broken(_ENDS.get(code, "crash"))


def _done(answer: dict[str, object], data: bytes) -> Done:
    photometric, lossy = answer.get("photometric"), answer.get("lossy")
    if not isinstance(photometric, str) or not isinstance(lossy, bool) or len(photometric) > 16:
        raise _Broken("nonsense")
    return Done(data=data, photometric=photometric, lossy=lossy)


def _texts(answer: dict[str, object], data: bytes) -> int:
    texts = answer.get("texts")
    if type(texts) is not int or data:
        raise _Broken("nonsense")
    return texts


def _environment() -> dict[str, str]:
    """What Python needs to start, and no secret that the router got through its environment."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Helper threads of numpy's would count against the memory limit, and help nobody.
    return {**kept, "OPENBLAS_NUM_THREADS": "1"}


_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "TMPDIR")


def _waiting(fd: int, event: int, deadline: float) -> Callable[[], None]:
    poll = select.poll()
    poll.register(fd, event)

    def wait() -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise _Broken("timeout")

    return wait


_ENDS = {OUT_OF_MEMORY: "memory", -signal.SIGALRM: "timeout"}
"""By exit code: minus the number of the signal that ended it."""

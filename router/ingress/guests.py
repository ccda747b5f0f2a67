"""Counts who is associated now, for the limits: in this process, or in all that share its ports.

Processes of one machine share a file: each writes its own row and reads all of them, under a lock
that the system takes back from whoever dies. A process that starts clears its row.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

Decision: TypeAlias = Callable[[Counter[str]], str | None]
"""Given how many associations each guest has, the name to count one more under; None: refused."""


class Guests(Protocol):
    """The associations of one listener. Safe to use from many threads."""

    def enter(self, decide: Decision) -> None:
        """Let it decide, and count; nobody else decides meanwhile."""

    def leave(self, name: str) -> None:
        """One that was counted under this name has ended."""


class OwnGuests:
    """Those of this process alone."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def enter(self, decide: Decision) -> None:
        with self._lock:
            name = decide(self._open)
            if name is not None:
                self._open[name] += 1

    def leave(self, name: str) -> None:
        with self._lock:
            self._open[name] -= 1


class SharedGuests:
    """Those of all processes that have this file, and each a name of its own."""

    def __init__(self, file: Path, process: str) -> None:
        """OSError if the file cannot be made."""
        self._process = process
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._own: Counter[str] = Counter()
        self._change(lambda _open: None)

    def enter(self, decide: Decision) -> None:
        self._change(decide)

    def leave(self, name: str) -> None:
        def count_out(_open: Counter[str]) -> None:
            self._own[name] -= 1

        self._change(count_out)

    def _change(self, decide: Decision) -> None:
        with self._lock:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                rows = self._read()
                rows[self._process] = self._own
                name = decide(sum(rows.values(), Counter()))
                if name is not None:
                    self._own[name] += 1
                self._own = +self._own  # without those that have gone
                rows[self._process] = self._own
                self._write(rows)
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _read(self) -> dict[str, Counter[str]]:
        data = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        try:
            return {process: Counter(row) for process, row in json.loads(data or b"{}").items()}
        except ValueError:  # somebody was killed while writing: rows come back with each change
            return {}

    def _write(self, rows: dict[str, Counter[str]]) -> None:
        data = json.dumps(rows).encode()
        os.pwrite(self._fd, data, 0)
        os.ftruncate(self._fd, len(data))

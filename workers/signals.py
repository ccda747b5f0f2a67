"""Signals to the process, heard whichever thread the system hands them to.

Python runs a handler in its main thread, and that thread does not wake from a lock it waits for
when another thread was interrupted: with busy threads every third SIGTERM went unheard. A file
descriptor that the interpreter writes to wakes it always (`signal.set_wakeup_fd`).
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from types import FrameType


class Signals:
    """Catches these signals from now on. Made in the main thread, before others are started."""

    def __init__(self, numbers: Sequence[signal.Signals]) -> None:
        self._numbers = frozenset(numbers)
        self._heard, told = socket.socketpair()
        told.setblocking(False)
        self._told = told
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _passed_on)

    def wait(self) -> signal.Signals:
        """The next of the signals; those that came meanwhile are not forgotten."""
        while True:
            number = signal.Signals(self._heard.recv(1)[0])
            if number in self._numbers:
                return number

    def no_longer(self, number: signal.Signals) -> None:
        """From now on this signal ends the process at once, as the system has it."""
        self._numbers -= {number}
        signal.signal(number, signal.SIG_DFL)


def _passed_on(_number: int, _frame: FrameType | None) -> None:
    """The number is in the socket already."""

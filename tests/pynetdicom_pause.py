"""pynetdicom's own thread, kept from taking an answer that is not for it.

An association of pynetdicom pauses that thread before it asks the peer for something, but goes by a
flag that the thread takes down only some time after it was woken. On a busy machine it may thus be
under way when a quick answer comes, and throws it away as unexpected.
"""

from __future__ import annotations

import threading

from pynetdicom.association import Association


class _Pause(threading.Event):
    """Once cleared, the thread is known to wait."""

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association
        self._changed = threading.Condition()
        self._go = True
        self._waits = False

    def set(self) -> None:
        with self._changed:
            self._go = True
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._go = False
            while not self._waits and self._may_come():
                self._changed.wait(0.01)

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            self._waits = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._go, timeout)
            self._waits = False
            return self._go

    def _may_come(self) -> bool:
        own = threading.current_thread() is self._association
        return not own and self._association.is_alive()


def steady(association: Association) -> Association:
    """The association, whose requests get their answers; from before its first request on."""
    if not isinstance(association._reactor_checkpoint, _Pause):
        association._reactor_checkpoint = _Pause(association)
    return association

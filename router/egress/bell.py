"""A destination's bell in one process: wakes a drain that waits for more, without a message."""

import threading


class Bell:
    """Rung from any thread. Once rung, it is heard: by who waits, or else by who waits next."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: list[threading.Event] = []
        self._unheard = False

    def ring(self) -> bool:
        """Wake who came last, so that those who are not needed end; False when nobody waits."""
        with self._mutex:
            if not self._waiting:
                self._unheard = True
                return False
            self._waiting.pop().set()
            return True

    def wait(self, seconds: float) -> bool:
        """Whether it rang within so many seconds, or since anybody waited last."""
        heard = threading.Event()
        with self._mutex:
            if self._unheard:
                self._unheard = False
                return True
            self._waiting.append(heard)
        if heard.wait(seconds):
            return True
        with self._mutex:
            if heard not in self._waiting:  # rung just as the time ran out
                return True
            self._waiting.remove(heard)
            return False

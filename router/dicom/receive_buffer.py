"""Where a shell writes what it receives, and where the reader takes it from without copying.

It starts small, since most associations idle, and grows where reads fill it. A grown buffer is a
new one: views of the old stay valid for whoever still holds them.
"""

from router.dicom.limits import LARGEST_BUFFER, SMALLEST_BUFFER


class ReceiveBuffer:
    """Bytes from `start` to `end` of `view` are received and not yet taken."""

    __slots__ = ("_capacity", "_filled", "end", "start", "view")

    def __init__(self) -> None:
        self._capacity = SMALLEST_BUFFER
        self._filled = False
        self.view = memoryview(bytearray(SMALLEST_BUFFER))
        self.start = 0
        self.end = 0

    def free(self) -> memoryview:
        """Return the writable space behind what was received; never empty."""
        if self.start == self.end:
            self.start = self.end = 0
            if self._filled and self._capacity < LARGEST_BUFFER:
                self._move(self._capacity * 4)
        elif self._capacity - self.end < self._capacity // 4:
            held = self.end - self.start
            # More than half full of what is not taken yet: the rest needs room.
            self._move(self._capacity * 2 if held * 2 > self._capacity else self._capacity)
        self._filled = False
        return self.view[self.end :]

    def added(self, count: int) -> None:
        """Say that `count` bytes were written to the space `free` returned."""
        self.end += count
        if self.end > self._capacity:
            self.end -= count
            raise ValueError("more bytes received than there was space")
        self._filled = self.end == self._capacity

    def shrink(self) -> None:
        """Give back a grown buffer that is empty."""
        if self.start == self.end and self._capacity > SMALLEST_BUFFER:
            self.start = self.end = 0
            self._filled = False
            self._move(SMALLEST_BUFFER)

    def _move(self, capacity: int) -> None:
        held = self.end - self.start
        kept = self.view[self.start : self.end]
        if capacity != self._capacity:
            view = memoryview(bytearray(capacity))
            view[:held] = kept
            self.view = view
            self._capacity = capacity
        else:
            self.view[:held] = kept
        self.start = 0
        self.end = held

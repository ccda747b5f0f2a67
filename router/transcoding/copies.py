"""Objects in another transfer syntax than the stored one, kept for a while.

Where a destination takes nothing of what is stored, other destinations and the next attempt
want the same again. The copies have no name and end with the process: they are no objects of
the store, and nothing of them is left when the object itself is forgotten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from router.net.data_source import FileSlice
from router.transcoding.parts import blocks_of
from router.transcoding.plan import Plan
from router.transcoding.scratch import Scratch
from router.transcoding.transcoder import Transcoder
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet, Slice

Key: TypeAlias = tuple[str, str]
"""An object's id, and the UID of the syntax it is wanted in."""

MOST_COPIES = 256
"""Each is an open file."""


@dataclass(slots=True)
class _Copy:
    """`making` is held while it is made, so that nobody makes it twice."""

    making: threading.Lock = field(default_factory=threading.Lock)
    scratch: Scratch | None = None
    users: int = 0
    last_used: float = 0.0


class Copies:
    """Copies of one process. Safe to use from many threads."""

    def __init__(self, transcoder: Transcoder, clock: Callable[[], float] = time.monotonic) -> None:
        self._transcoder = transcoder
        self._clock = clock
        self._mutex = threading.Lock()
        self._copies: dict[Key, _Copy] = {}

    @contextmanager
    def copy(self, key: Key, data_set: EncodedDataSet) -> Iterator[FileSlice]:
        """The encoded data set in the syntax of the key. CannotTranscode, MalformedDataSet,
        NoCodecs, OSError as the transcoder raises them."""
        with self._mutex:
            copy = self._copies.setdefault(key, _Copy())
            copy.users += 1
        try:
            with copy.making:
                if copy.scratch is None:
                    copy.scratch = self._made(data_set, key[1])
            yield copy.scratch.whole()
        finally:
            with self._mutex:
                copy.users -= 1
                copy.last_used = self._clock()
                if copy.scratch is None and not copy.users:
                    self._copies.pop(key, None)
            self.end_old()

    def end_old(self) -> None:
        """Close what has not been used for long, and what is too much, the oldest first."""
        settings, now = self._transcoder.settings, self._clock()
        with self._mutex:
            free = [
                (copy.last_used, key)
                for key, copy in self._copies.items()
                if not copy.users and copy.scratch is not None
            ]
            size = sum(copy.scratch.size for copy in self._copies.values() if copy.scratch)
            for last_used, key in sorted(free):
                old = now - last_used >= settings.keep
                if not old and size <= settings.cache and len(self._copies) <= MOST_COPIES:
                    break
                scratch = self._copies.pop(key).scratch
                assert scratch is not None  # only those were gathered
                size -= scratch.size
                scratch.close()

    def close(self) -> None:
        """End all copies that nobody sends at the moment, and the codec processes."""
        with self._mutex:
            for key, copy in list(self._copies.items()):
                if not copy.users:
                    del self._copies[key]
                    if copy.scratch is not None:
                        copy.scratch.close()
        self._transcoder.close()

    def _made(self, data_set: EncodedDataSet, syntax: str) -> Scratch:
        length = len(data_set.source) - data_set.start
        as_it_came = Edited(
            pieces=(Slice(data_set.start, length),),
            sop_class_uid="",
            sop_instance_uid="",
            transfer_syntax_uid=data_set.transfer_syntax_uid,
            changed=(),
        )
        with self._transcoder.planned(data_set, as_it_came, Plan(target=syntax)) as transcoded:
            scratch = Scratch(self._transcoder.settings.folder)
            try:
                for block in blocks_of(transcoded.source, transcoded.parts):
                    scratch.write(block)
            except BaseException:
                scratch.close()
                raise
        return scratch

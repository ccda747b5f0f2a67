"""Object ids: UUID version 7 (RFC 9562) as 32 hexadecimal digits, growing within a process.

The first 8 digits are the id's bucket: all objects of the same 65.536 seconds share it, so a
folder stays small and the oldest are found first.
"""

import os
import threading
import time
from random import Random

BUCKET_DIGITS = 8

_HEX = frozenset("0123456789abcdef")
_lock = threading.Lock()
_last = 0
_chance = Random()
"""An id is no secret; it is asked for with each object, and the system's own random numbers would
cost a call of the system. A forked process must not go on with its parent's."""
os.register_at_fork(after_in_child=_chance.seed)


def new_object_id() -> str:
    """A new id, greater than every one that this process has made before."""
    global _last
    now = time.time_ns()
    # 48 bits of milliseconds, then 12 bits of their fraction (RFC 9562 6.2, method 3).
    ticks = (now // 1_000_000) << 12 | (now % 1_000_000) * 4096 // 1_000_000
    with _lock:
        _last = ticks = max(ticks, _last + 1)
    variant = 0x8000_0000_0000_0000 | _chance.getrandbits(62)
    return f"{ticks >> 12:012x}7{ticks & 0xFFF:03x}{variant:016x}"


def is_object_id(text: str) -> bool:
    """Whether this can be an object id: a store makes paths of nothing else."""
    return len(text) == 32 and _HEX.issuperset(text)


def bucket_of(object_id: str) -> str:
    """The bucket that an id belongs to."""
    return object_id[:BUCKET_DIGITS]

"""The time and the chance a drain goes by; tests set them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a drain lasts. Seconds: waiting for more work, in all, and for a ledger that is
    away while there are outcomes to record (after that, they are lost and objects sent again).

    `step`: how soon who waits for more work looks for it though no bell rang, and then less often,
    since the bell may ring in another process that has no place to work."""

    linger: float = 1.0
    step: float = 0.05
    longest: float = 120.0
    patience: float = 20.0
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

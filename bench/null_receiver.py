"""A receiver that only counts: what a sender, or a router's way out, can do at best.

`python -m bench.null_receiver PORT MAX_PDU [DELAY]` answers each object after DELAY seconds, and
prints a line of JSON for every 20 ms in which something arrived: how many so far, and when
(monotonic seconds).
"""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from router.dicom.commands import CStoreRq
from router.dicom.negotiation import Acceptance, NegotiatedContext
from router.net.acceptor import Acceptor
from router.net.connection import Connection
from router.net.storage_scp import SUCCESS, serve_storage


@dataclass(frozen=True, slots=True)
class Count:
    """So many objects had come at that time (monotonic seconds)."""

    count: int
    at: float


def counts(log: Path) -> list[Count]:
    """What a receiver has printed into this file; a line that is being written is none yet."""
    whole, _, _ = log.read_text().rpartition("\n")
    return [Count(**json.loads(line)) for line in whole.splitlines() if line[:1] == "{"]


class Counter:
    """Serves associations and counts objects; as a reception it takes everything, keeps nothing."""

    def __init__(self, max_length: int, delay: float = 0.0) -> None:
        self.count = 0
        self.delay = delay
        self.lock = threading.Lock()
        self.acceptance = Acceptance(max_length=max_length)

    def serve(self, connection: Connection) -> None:
        """One association, to its end."""
        serve_storage(connection, self.receive, acceptance=self.acceptance)

    def receive(self, _: Connection, __: NegotiatedContext, ___: CStoreRq) -> Counter:
        """Nothing is kept of an object, so all share one reception."""
        return self

    def write(self, fragment: memoryview) -> None:
        """Keep nothing."""

    def finish(self) -> int:
        """Count it."""
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            self.count += 1
        return SUCCESS

    def discard(self) -> None:
        """Nothing to undo: it was not counted."""


def main() -> None:
    """Listen until killed."""
    counter = Counter(int(sys.argv[2]), *map(float, sys.argv[3:]))
    acceptor = Acceptor(host="127.0.0.1", port=int(sys.argv[1]), serve=counter.serve)
    acceptor.start()
    told = 0
    while True:
        time.sleep(0.02)
        if counter.count != told:
            told = counter.count
            print(json.dumps({"count": told, "at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    main()

"""One of several processes that work on one ledger; tells what it did, a JSON line each.

    python -m tests.contracts.ledger_worker URL NAME LEASE_MS

Begins at a line on its standard input. It takes a slot, leases and delivers, leads when nobody
else does, expires what others have lost, and ends when nothing is owed any more. Times are the
ledger's.
"""

import json
import sys
import time

from sqlalchemy import Connection, func, select

from router.ledger import (
    DeliveryOutcome,
    DeliveryState,
    Ledger,
    LedgerUnavailable,
    deliveries,
    destinations,
    leases,
)
from router.ledger.clock import ledger_now
from router.ledger.models import DELIVERIES
from router.ledger.statements import OPEN

DESTINATION = "pacs"
SLOTS = 2


def tell(kind: str, **facts: object) -> None:
    print(json.dumps({"kind": kind, **facts}), flush=True)


def now(conn: Connection) -> int:
    return conn.scalar(select(ledger_now())) or 0


def work(ledger: Ledger, owner: str, lease_ms: int) -> None:
    """A slot, a batch, its outcomes, and the slot given back."""
    with ledger.write() as conn:
        slot = destinations.take_slot(conn, DESTINATION, SLOTS, owner, lease_ms)
        if slot is None:
            return
        batch = deliveries.lease_due(conn, DESTINATION, owner=owner, limit=7, lease_ms=lease_ms)
        taken = now(conn)
    tell("leased", ids=[one.id for one in batch])
    ended = [
        DeliveryOutcome(delivery_id=one.id, attempts=1, state=DeliveryState.DELIVERED)
        for one in batch
    ]
    with ledger.write() as conn:
        recorded = deliveries.record_outcomes(conn, owner, ended)
        freed = now(conn)
        kept = destinations.keep_slot(conn, DESTINATION, slot, owner, lease_ms)
        destinations.free_slot(conn, DESTINATION, slot, owner)
    tell("delivered", count=recorded, of=len(batch))
    if kept:
        tell("slot", n=slot, taken=taken, freed=freed)


def conduct(ledger: Ledger, owner: str, lease_ms: int) -> None:
    with ledger.write() as conn:
        if not leases.lead(conn, "conductor", owner, lease_ms):
            return
        since = now(conn)
    with ledger.write() as conn:
        deliveries.expire_leases(conn)
        until = now(conn)
        kept = leases.lead(conn, "conductor", owner, lease_ms)
        leases.resign(conn, "conductor", owner)
    if kept:
        tell("led", since=since, until=until)


def is_owed(ledger: Ledger) -> bool:
    with ledger.read() as conn:
        return bool(conn.scalar(select(func.count()).select_from(DELIVERIES).where(OPEN)))


def main(url: str, name: str, lease_ms: int) -> None:
    ledger = Ledger(url)
    tell("ready")
    sys.stdin.readline()
    turn = 0
    while True:
        turn += 1
        try:
            if not is_owed(ledger):
                break
            work(ledger, f"{name}-{turn}", lease_ms)
            conduct(ledger, name, lease_ms)
        except LedgerUnavailable as error:
            tell("unavailable", words=str(error))
            time.sleep(0.05)
    ledger.dispose()
    tell("finished")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

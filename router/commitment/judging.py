"""Whether we may promise a modality that an object is kept: a decision on what the ledger knows."""

from collections.abc import Collection, Sequence

from router.commitment.data_sets import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
)
from router.ledger import Ledger, orders
from router.ledger.orders import Kept, Order, Policy

KEPT = 0
LEASE_MS = 120_000
"""How long an order is ours to look at and to report."""

_ENDED = ("delivered", "committed")
_NOT_ROUTED = ("received", "bundled")


def judge(ledger: Ledger, order: Order, now: int, proving: Collection[str]) -> bool:
    """Record what has become certain; whether all of it is, so that the order may be reported.

    `proving`: destinations that are asked to commit. When the time is up, what is not certain is
    refused.
    """
    with ledger.read() as connection:
        items = orders.results(connection, order.id)
        open_items = {uid: name for uid, (name, result) in items.items() if result is None}
        known = orders.kept(connection, list(open_items))
    found: dict[str, int] = {}
    for uid, sop_class in open_items.items():
        rows = known.get(uid, [])
        result = verdict(
            rows, sop_class, policy=order.policy, reference=order.reference, proving=proving
        )
        if result is None and now >= order.answer_by:
            result = PROCESSING_FAILURE if rows else NO_SUCH_INSTANCE
        if result is not None:
            found[uid] = result
    complete = len(found) == len(open_items)
    with ledger.write() as connection:
        orders.record(connection, order.id, found)
        if complete:
            orders.complete(connection, order.id, lease_ms=LEASE_MS)
        else:
            orders.look_later(connection, order.id)
    return complete


def verdict(
    rows: Sequence[Kept],
    sop_class_uid: str,
    *,
    policy: Policy,
    reference: str | None,
    proving: Collection[str],
) -> int | None:
    """0: kept; a failure reason: it will not be; None: that is not known yet."""
    if not rows:
        return None
    if sop_class_uid and sop_class_uid != rows[0].sop_class_uid:
        return CLASS_INSTANCE_CONFLICT
    owed = [row for row in rows if row.destination and row.delivery_state != "cancelled"]
    if policy == "own":
        gone = rows[0].state == "discarded" or (rows[0].state == "forgotten" and not owed)
        return NO_SUCH_INSTANCE if gone else KEPT
    committed = {row.destination for row in owed if row.delivery_state == "committed"}
    if policy == "any":
        return KEPT if committed else None
    if policy == "reference":
        return KEPT if reference in committed else None
    if not owed or rows[0].state in _NOT_ROUTED:
        return None
    ends = all(
        row.delivery_state == "committed"
        or (row.delivery_state in _ENDED and row.destination not in proving)
        for row in owed
    )
    return KEPT if ends else None

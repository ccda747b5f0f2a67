"""What a destination's answer about one object leads to. Pure tables.

A failure reason (PS3.3 C.14.1.1) becomes one of four actions; how often an object may be refused
is the site's to say (`refusals`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Action(StrEnum):
    """What is done about an object that a destination did not commit."""

    SEND_AGAIN = "send again"
    WAIT = "wait"
    ASK_AGAIN = "ask again"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a reason means. `reason` is bounded: a metric label and a column of the ledger."""

    reason: str
    words: str
    action: Action


def of_reason(code: int, overrides: Mapping[int, str] | None = None) -> Refusal:
    """What this failure reason of a report means. `overrides`: what this peer means by a reason,
    in the words of the site's file."""
    found = REFUSALS.get(code, UNKNOWN)
    word = (overrides or {}).get(code)
    return found if word is None else replace(found, action=Action(word))


REFUSALS = {
    0x0110: Refusal(
        reason="not_committed_processing_failure",
        words="the peer could not find out",
        action=Action.WAIT,
    ),
    0x0112: Refusal(
        reason="not_committed_no_such_instance",
        words="the peer does not have the object",
        action=Action.SEND_AGAIN,
    ),
    0x0119: Refusal(
        reason="not_committed_class_conflict",
        words="the peer has it under another SOP class",
        action=Action.HOLD,
    ),
    0x0122: Refusal(
        reason="not_committed_class_refused",
        words="the peer does not keep objects of this SOP class",
        action=Action.HOLD,
    ),
    0x0131: Refusal(
        reason="not_committed_duplicate_uid",
        words="the peer had the transaction UID before",
        action=Action.ASK_AGAIN,
    ),
    0x0213: Refusal(
        reason="not_committed_resources",
        words="the peer is out of resources",
        action=Action.WAIT,
    ),
}
UNKNOWN = Refusal(
    reason="not_committed_unknown_reason",
    words="the peer gave an unknown reason",
    action=Action.WAIT,
)

NOT_ANSWERED = "not_committed_no_answer"
"""The reason of an object on which a destination never reported."""
NOT_FOUND = Refusal(
    reason="not_committed_not_found",
    words="a query did not find the object at the peer",
    action=Action.SEND_AGAIN,
)
FOUND = "found_by_query"
"""The reason of an object whose presence a query proved."""

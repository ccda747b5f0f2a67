"""The broker's messages: ids and versions only, never pixels and never patient data (claim check).

A ticket is a bell. It may be lost, repeated or reordered: the ledger knows what is owed, and the
conductor's sweep rings again for whatever is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never, get_args

TICKET_VERSION = 1
"""Raised when a reader of the old version could misunderstand a new ticket."""

Urgency = Literal["stat", "high", "routine", "low"]
URGENCIES: tuple[Urgency, ...] = get_args(Urgency)
"""How soon objects are to be routed, the most urgent first; each has a queue of its own."""

MAX_OBJECTS = 1000
"""Objects named by one routing ticket: bounds the work that one repeated ticket can cost."""


class TicketError(ValueError):
    """A message that is not a ticket of a version that this worker understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTicket:
    """These received objects wait for a verdict. Ids are 32 hexadecimal digits (UUID version 7)."""

    object_ids: tuple[str, ...]
    urgency: Urgency = "routine"


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressTicket:
    """This destination has deliveries that are due."""

    destination: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentTicket:
    """This destination is to be asked to commit (or, with `reconcile`, for what it should have),
    or this order of a modality looked at: one of the two."""

    destination: str | None = None
    order: int | None = None
    reconcile: bool = False


Ticket = RoutingTicket | EgressTicket | CommitmentTicket


def encode(ticket: Ticket) -> dict[str, object]:
    """The ticket as a JSON-ready mapping."""
    match ticket:
        case RoutingTicket():
            return {"version": TICKET_VERSION, "object_ids": list(ticket.object_ids)}
        case EgressTicket():
            return {"version": TICKET_VERSION, "destination": ticket.destination}
        case CommitmentTicket(reconcile=True):
            # Who knows no `reconcile` asks the destination to commit what is due: no harm.
            version = {"version": TICKET_VERSION}
            return {**version, "destination": ticket.destination, "reconcile": True}
        case CommitmentTicket(order=None):
            return {"version": TICKET_VERSION, "destination": ticket.destination}
        case CommitmentTicket():
            return {"version": TICKET_VERSION, "order": ticket.order}
    assert_never(ticket)


def decode_routing(message: Mapping[str, object]) -> RoutingTicket:
    """Read a routing ticket; `TicketError` says what is wrong with the message."""
    _check_version(message)
    ids = message.get("object_ids")
    if not isinstance(ids, Sequence) or isinstance(ids, str) or not ids:
        raise TicketError("a routing ticket needs a list of object ids")
    if len(ids) > MAX_OBJECTS:
        raise TicketError(f"a routing ticket names at most {MAX_OBJECTS} objects, not {len(ids)}")
    if not all(isinstance(item, str) and len(item) == 32 for item in ids):
        raise TicketError("an object id has 32 hexadecimal digits")
    return RoutingTicket(object_ids=tuple(ids))


def decode_egress(message: Mapping[str, object]) -> EgressTicket:
    """Read an egress ticket; `TicketError` says what is wrong with the message."""
    _check_version(message)
    destination = message.get("destination")
    if not isinstance(destination, str) or not destination:
        raise TicketError("an egress ticket needs the name of a destination")
    return EgressTicket(destination=destination)


def decode_commitment(message: Mapping[str, object]) -> CommitmentTicket:
    """Read a commitment ticket; `TicketError` says what is wrong with the message."""
    _check_version(message)
    destination, order = message.get("destination"), message.get("order")
    if isinstance(destination, str) and destination and order is None:
        return CommitmentTicket(destination=destination, reconcile=message.get("reconcile") is True)
    if isinstance(order, int) and destination is None:
        return CommitmentTicket(order=order)
    raise TicketError("a commitment ticket names either a destination or an order")


def _check_version(message: Mapping[str, object]) -> None:
    version = message.get("version")
    if version != TICKET_VERSION:
        raise TicketError(f"ticket version {version!r}; this worker understands {TICKET_VERSION}")

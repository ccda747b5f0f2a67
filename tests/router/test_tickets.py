"""Tickets carry ids and a version, and anything else is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import tickets
from router.tickets import CommitmentTicket, EgressTicket, RoutingTicket, TicketError

ids = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(st.lists(ids, min_size=1, max_size=20))
def test_a_routing_ticket_comes_back_as_it_went(object_ids: list[str]) -> None:
    ticket = RoutingTicket(object_ids=tuple(object_ids))
    assert tickets.decode_routing(tickets.encode(ticket)) == ticket


@pytest.mark.parametrize(
    "ticket",
    [
        CommitmentTicket(destination="pacs"),
        CommitmentTicket(destination="pacs", reconcile=True),
        CommitmentTicket(order=7),
    ],
)
def test_a_commitment_ticket_comes_back_as_it_went(ticket: CommitmentTicket) -> None:
    assert tickets.decode_commitment(tickets.encode(ticket)) == ticket


def test_an_egress_ticket_comes_back_as_it_went() -> None:
    ticket = EgressTicket(destination="pacs")
    assert tickets.decode_egress(tickets.encode(ticket)) == ticket


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "version None"),
        ({"version": 99, "object_ids": ["0" * 32]}, "version 99"),
        ({"version": 1}, "list of object ids"),
        ({"version": 1, "object_ids": []}, "list of object ids"),
        ({"version": 1, "object_ids": "0" * 32}, "list of object ids"),
        ({"version": 1, "object_ids": ["short"]}, "32 hexadecimal digits"),
        ({"version": 1, "object_ids": [7]}, "32 hexadecimal digits"),
        ({"version": 1, "object_ids": ["0" * 32] * 1001}, "at most 1000"),
    ],
)
def test_what_is_no_routing_ticket_is_refused(message: dict[str, object], words: str) -> None:
    with pytest.raises(TicketError, match=words):
        tickets.decode_routing(message)


@pytest.mark.parametrize("message", [{"version": 1}, {"version": 1, "destination": ""}])
def test_what_is_no_egress_ticket_is_refused(message: dict[str, object]) -> None:
    with pytest.raises(TicketError, match="name of a destination"):
        tickets.decode_egress(message)

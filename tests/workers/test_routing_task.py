"""The routing task: for whom it rings, and how often."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from router.broker import Broker, BrokerUnavailable
from router.routing.batch import Routing
from router.store import StoreUnavailable
from router.tickets import EgressTicket, RoutingTicket, Ticket
from workers import routing
from workers.routing import RING_AGAIN_SECONDS, RoutingTask

TICKET = RoutingTicket(object_ids=("0" * 32,))


class Verdicts(Routing):
    """Decides as it was told."""

    def __init__(self, *results: set[str]) -> None:
        self._results = iter(results)

    def route(self, object_ids: Sequence[str]) -> frozenset[str]:
        return frozenset(next(self._results))


class Bells(Broker):
    """Hears every bell."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.away = False
        self.noted: list[str] = []
        self.somebody_hears = False

    def told(self, ticket: EgressTicket) -> bool:
        if self.somebody_hears:
            self.noted.append(ticket.destination)
        return self.somebody_hears

    def publish(self, ticket: Ticket) -> None:
        if self.away:
            raise BrokerUnavailable("away")
        assert isinstance(ticket, EgressTicket)
        self.rung.append(ticket.destination)


def test_a_destination_is_rung_for_once_in_a_while_and_each_by_itself() -> None:
    now = [100.0]
    bells = Bells()
    task = RoutingTask(
        Verdicts({"pacs"}, {"pacs"}, {"research"}, {"pacs"}), bells, clock=lambda: now[0]
    )
    for _ in range(3):
        task(TICKET)
    assert bells.rung == ["pacs", "research"]
    now[0] += RING_AGAIN_SECONDS
    task(TICKET)
    assert bells.rung == ["pacs", "research", "pacs"]


def test_who_can_be_told_without_a_message_is_told_each_time() -> None:
    bells = Bells()
    bells.somebody_hears = True
    task = RoutingTask(Verdicts({"pacs"}, {"pacs"}, {"pacs"}), bells, clock=lambda: 100.0)
    task(TICKET)
    task(TICKET)
    assert bells.noted == ["pacs", "pacs"]
    bells.somebody_hears = False
    task(TICKET)
    assert bells.rung == ["pacs"]


def test_a_bell_that_was_not_heard_is_rung_again() -> None:
    bells = Bells()
    task = RoutingTask(Verdicts({"pacs"}, {"pacs"}), bells, clock=lambda: 100.0)
    bells.away = True
    task(TICKET)
    bells.away = False
    task(TICKET)
    assert bells.rung == ["pacs"]


class Away(Verdicts):
    """The store is away for so many times."""

    def __init__(self, times: int) -> None:
        super().__init__({"pacs"})
        self.times = times
        self.held: list[str] = []

    def route(self, object_ids: Sequence[str]) -> frozenset[str]:
        self.times -= 1
        if self.times >= 0:
            raise StoreUnavailable("away")
        return super().route(object_ids)

    def hold(self, object_id: str, reason: str) -> None:
        self.held.append(object_id)


@pytest.mark.parametrize(("times", "rung"), [(2, ["pacs"]), (99, [])])
def test_a_store_that_is_away_is_waited_for_and_holds_nothing(
    times: int, rung: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "PAUSES", (0.0, 0.0, 0.0))
    bells, verdicts = Bells(), Away(times)
    RoutingTask(verdicts, bells)(TICKET)
    assert bells.rung == rung
    assert not verdicts.held

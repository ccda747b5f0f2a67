"""The bars of rules that do not depend on the machine."""

from __future__ import annotations

from bench.rules import editing, measure, memory, table_of_many
from rules.editing.schema import EDITS


def test_edits_take_no_memory_for_pixels():
    memory(1000)  # what Python keeps for good is made now
    assert memory(100_000_000) < memory(1_000_000) + 10_000


def test_every_condition_of_every_route_is_looked_at():
    table = table_of_many()
    assert {len(route.conditions) for route in table.routes} == {4}
    assert len(table.routes) == 300
    assert len(editing().routes[0].dispatch.edits) == 5 < len(EDITS)
    figures = measure(rounds=1, times=2)  # raises where a route matches
    assert figures["read the header"] > 0

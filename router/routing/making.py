"""What comes of one object's routes, as they are gone through; no I/O."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from router.dicom.uids import IMPLEMENTATION_VERSION_NAME
from router.ledger import (
    PRIORITIES,
    DerivedObject,
    Identifiers,
    Join,
    NewDelivery,
    ObjectState,
    RoutingResult,
    StoredObject,
)
from router.ledger.bundles import DueMember, Gathered
from router.ledger.vault import Pair
from rules.choosing import Down
from rules.editing.recording import Recording
from rules.routes import RouteTable
from rules.verdict import Dispatch
from rules.windows import Windows

NO_ROUTE = "(on_no_match)"
"""Stands for a route where an unrouted object goes to a destination."""

_ON_NO_MATCH = {"hold": ObjectState.UNROUTED, "discard": ObjectState.DISCARDED}


@dataclass(slots=True)
class Made:
    """The outcome so far of one object."""

    derived: dict[str, DerivedObject] = field(default_factory=dict)  # by the key of the edits
    deliveries: list[NewDelivery] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)  # bundles that it is a member of now
    failures: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)  # what profiles say is sent to nobody
    choices: list[str] = field(default_factory=list)  # what groups chose, what is waited for
    claimed: set[str] = field(default_factory=set)  # destinations that a route has decided on
    pairs: list[Pair] = field(default_factory=list)  # who became whom, for the vault
    reason: str = ""  # of the first failure

    def fail(self, reason: str, words: str) -> None:
        """A route could not be served: the object is held."""
        self.failures.append(words)
        self.reason = self.reason or reason

    @property
    def waits(self) -> bool:
        return any(not one.late for one in self.joins)

    @property
    def detail(self) -> str | None:
        """What is to be known of the decision, in words."""
        return "; ".join((*self.failures, *self.dropped, *self.choices)) or None

    def otherwise(self, unrouted: RoutingResult) -> RoutingResult:
        """What becomes of the object if nobody gets it: what a profile says to drop does not go
        where objects of no route go."""
        if not self.dropped:
            return unrouted
        return replace(
            unrouted,
            state=ObjectState.DISCARDED,
            reason="refused",
            deliveries=(),
            detail="; ".join(self.dropped),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is the same for all objects of a batch. `due`: objects whose bundle is closed.
    `no_vault`: why nothing can be kept of who becomes whom."""

    table: RouteTable
    looping: Container[str]
    down: Down
    due: Mapping[str, tuple[DueMember, ...]]
    no_vault: str | None = None
    gathered: dict[tuple[str, str], Gathered] = field(default_factory=dict)
    standing: dict[tuple[str, str, str], str | None] = field(default_factory=dict)


def delivery_of(dispatch: Dispatch, destination: str, payload_id: str) -> NewDelivery:
    """What is owed to one destination of a route."""
    chosen = next((one for one in dispatch.choices if one.chosen == destination), None)
    after = None if chosen is None else chosen.after
    return NewDelivery(
        destination=destination,
        route=dispatch.route,
        payload_id=payload_id,
        priority=PRIORITIES[dispatch.priority],
        members=chosen.members if chosen is not None and after is not None else (),
        move_after_ms=None if after is None else int(after * 1000),
        send_between=dispatch.between,
        not_before=_opens(dispatch.between),
    )


def _opens(between: str | None) -> int:
    """When its window opens; 0: it is open, or there is none. By our own clock, which need not be
    exact: whoever sends asks the ledger's."""
    now = time.time_ns() // 1_000_000
    opens = now if between is None else Windows.parse(between).opens(now)
    return 0 if opens == now else opens


def recording_of(stored: StoredObject) -> Recording:
    """What the Original Attributes Sequence says of us (PS3.3 C.12.1)."""
    return Recording(
        when=datetime.now(UTC),
        system=stored.called_ae_title or IMPLEMENTATION_VERSION_NAME,
        source=stored.calling_ae_title or "",
    )


def held(
    stored: StoredObject,
    table: RouteTable,
    reason: str,
    detail: str | None = None,
    *,
    known_as: Identifiers | None = None,
) -> RoutingResult:
    """Set aside for a person, and why."""
    return RoutingResult(
        object_id=stored.id,
        state=ObjectState.HELD,
        reason=reason,
        identifiers=known_as or Identifiers(),
        rules_version=table.version,
        detail=detail,
    )


def unrouted(
    stored: StoredObject, table: RouteTable, known_as: Identifiers, on_no_match: str
) -> RoutingResult:
    """No route has matched: what the site wants then."""
    state = _ON_NO_MATCH.get(on_no_match, ObjectState.ROUTED)
    routine = PRIORITIES["routine"]
    owed = NewDelivery(
        destination=on_no_match, route=NO_ROUTE, payload_id=stored.id, priority=routine
    )
    return RoutingResult(
        object_id=stored.id,
        state=state,
        reason="no_route_matched",
        identifiers=known_as,
        rules_version=table.version,
        deliveries=(owed,) if state is ObjectState.ROUTED else (),
    )

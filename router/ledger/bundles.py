"""Bundles: what a route gathers of a study or series before it sends anything.

An object joins in the transaction that records its verdict, and stays until the bundle is closed
and its own part is routed; meanwhile its bytes are not forgotten. Only the database's clock says
when a bundle is due.
"""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from router.ledger.clock import read_clock
from router.ledger.models import OBJECT_EVENTS, OBJECTS
from router.ledger.models_bundles import BUNDLE_MEMBERS, BUNDLES
from router.ledger.statements import CHUNK, NOTHING, NOW, InsertNew, constant
from router.ledger.texts import bounded, required

QUIET, LONGEST, COMPLETE, OPERATOR = "quiet", "longest", "complete", "closed_by_operator"
"""Why a bundle was closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """An object's way into a bundle. `uid` is the study's or series'; times in milliseconds.

    `late`: it came after the bundle was closed and goes at once; it is only counted. `again`:
    when the bundle closes, what earlier ones had gathered is routed once more.
    """

    route: str
    level: str
    uid: str
    quiet_ms: int
    longest_ms: int
    expected_objects: int | None = None
    expected_series: tuple[str, ...] = ()
    late: bool = False
    again: bool = False
    modality: str | None = None
    series_description: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.route, self.level, self.uid


@dataclass(frozen=True, slots=True, kw_only=True)
class DueMember:
    """An object whose bundle is closed and whose part is not routed yet."""

    object_id: str
    bundle_id: int
    route: str
    again: bool
    study_instance_uid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What a route has gathered of a study, in all its bundles: SOP instances by series."""

    by_series: Mapping[str, int]
    modalities: tuple[str, ...]


_OPEN = BUNDLES.c.state == constant("open")
_CLOSED = BUNDLES.c.state == constant("closed")
_WAITING = BUNDLE_MEMBERS.c.state == constant("waiting")
_OF_KEY = (
    (BUNDLES.c.route == bindparam("of_route"))
    & (BUNDLES.c.level == bindparam("of_level"))
    & (BUNDLES.c.uid == bindparam("of_uid"))
)
_STANDING = select(BUNDLES.c.state).where(_OF_KEY).order_by(BUNDLES.c.id.desc()).limit(1)


def standing(conn: Connection, key: tuple[str, str, str]) -> str | None:
    """How the newest bundle of this route, level and UID stands (open, closed); None without."""
    found: str | None = conn.scalar(_STANDING, _named(key))
    return found


def _named(key: tuple[str, str, str]) -> dict[str, str]:
    return {"of_route": required(key[0], 128), "of_level": key[1], "of_uid": required(key[2], 64)}


_NEWEST_CLOSED = select(BUNDLES.c.id).where(_OF_KEY, _CLOSED).order_by(BUNDLES.c.id.desc()).limit(1)
_FIND_OPEN = select(BUNDLES.c.id, BUNDLES.c.opened_at).where(_OF_KEY, _OPEN).with_for_update()
_NEW = InsertNew(BUNDLES, opened_at=NOW, last_at=NOW, due_at=NOW)
_NEW_MEMBERS = InsertNew(BUNDLE_MEMBERS, joined_at=NOW)
_COUNT = select(func.count(OBJECTS.c.sop_instance_uid.distinct())).join_from(
    BUNDLE_MEMBERS, OBJECTS, OBJECTS.c.id == BUNDLE_MEMBERS.c.object_id
)
_COUNT = _COUNT.where(BUNDLE_MEMBERS.c.bundle_id == bindparam("bundle_id"))
_DESCRIPTIONS = (
    select(BUNDLE_MEMBERS.c.series_description)
    .where(BUNDLE_MEMBERS.c.bundle_id == bindparam("bundle_id"))
    .distinct()
)
_JOINED = (
    update(BUNDLES)
    .where(BUNDLES.c.id == bindparam("of_id"))
    .values(
        objects=bindparam("to_objects"),
        last_at=NOW,
        due_at=bindparam("to_due_at", type_=BigInteger),
        reason=bindparam("to_reason"),
        lacks=bindparam("to_lacks"),
        again=or_(BUNDLES.c.again, bindparam("to_again")),
    )
)


def join(conn: Connection, joins: Iterable[tuple[str, Join]]) -> None:
    """Let objects (by id) join their bundles, which are opened where there is none."""
    groups: dict[tuple[str, str, str, bool], list[tuple[str, Join]]] = {}
    for object_id, one in joins:
        groups.setdefault((*one.key, one.late), []).append((object_id, one))
    # Everyone locks bundles in the same order.
    for (*_, late), members in sorted(groups.items(), key=lambda group: group[0]):
        if late:
            _count_in(conn, members)
        else:
            _join(conn, members)


def _count_in(conn: Connection, members: Sequence[tuple[str, Join]]) -> None:
    bundle_id = conn.scalar(_NEWEST_CLOSED, _named(members[0][1].key))
    if bundle_id is not None:
        conn.execute(_NEW_MEMBERS.on(conn), _member_rows(bundle_id, members, "routed"))


def _join(conn: Connection, members: Sequence[tuple[str, Join]]) -> None:
    one = members[-1][1]
    bundle_id, opened_at = _opened(conn, one)
    conn.execute(_NEW_MEMBERS.on(conn), _member_rows(bundle_id, members, "waiting"))
    count = conn.scalar(_COUNT, {"bundle_id": bundle_id}) or 0
    missing = _lacks(conn, bundle_id, one, count)
    now, latest = read_clock(conn), opened_at + one.longest_ms
    if missing is not None:
        due_at, reason = latest, LONGEST
    elif one.expected_objects is not None:
        due_at, reason = now, COMPLETE
    else:
        due_at, reason = now + one.quiet_ms, COMPLETE if one.expected_series else QUIET
    if due_at > latest:
        due_at, reason = latest, LONGEST
    wanted = {
        "of_id": bundle_id,
        "to_objects": count,
        "to_due_at": due_at,
        "to_reason": reason,
        "to_lacks": missing,
        "to_again": any(member.again for _, member in members),
    }
    conn.execute(_JOINED, wanted)


def _opened(conn: Connection, one: Join) -> tuple[int, int]:
    """The open bundle, locked, and when it was opened; made where there is none."""
    named = _named(one.key)
    while (row := conn.execute(_FIND_OPEN, named).first()) is None:
        new = {
            "route": named["of_route"],
            "level": one.level,
            "uid": named["of_uid"],
            "state": "open",
            "objects": 0,
            "again": one.again,
        }
        conn.execute(_NEW.on(conn), new)  # or another worker has, and may have closed it since
    return int(row[0]), int(row[1])


def _member_rows(
    bundle_id: int, members: Sequence[tuple[str, Join]], state: str
) -> list[dict[str, object]]:
    return [
        {
            "bundle_id": bundle_id,
            "object_id": object_id,
            "state": state,
            "modality": bounded(one.modality, 16),
            "series_description": bounded(one.series_description, 64),
        }
        for object_id, one in members
    ]


def _lacks(conn: Connection, bundle_id: int, one: Join, count: int) -> str | None:
    """What is expected and not there, in words; None when nothing is."""
    told = []
    if one.expected_objects is not None and count < one.expected_objects:
        told.append(f"{one.expected_objects - count} objects")
    if one.expected_series:
        there = [
            (text or "").casefold()
            for text in conn.scalars(_DESCRIPTIONS, {"bundle_id": bundle_id})
        ]
        absent = [
            pattern
            for pattern in one.expected_series
            if not any(fnmatch.fnmatchcase(text, pattern.casefold()) for text in there)
        ]
        told += [f"series {pattern}" for pattern in absent]
    return ", ".join(told) or None


_DUE = (
    select(BUNDLES.c.id)
    .where(_OPEN, BUNDLES.c.due_at <= NOW)
    .order_by(BUNDLES.c.due_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
)
_HAS_DUE = select(select(BUNDLES.c.id).where(_OPEN, BUNDLES.c.due_at <= NOW).exists())
_CLOSE = (
    update(BUNDLES)
    .where(BUNDLES.c.id == bindparam("of_id"), _OPEN)
    .values(state="closed", closed_at=NOW)
    .returning(BUNDLES.c.route, BUNDLES.c.level, BUNDLES.c.uid, BUNDLES.c.again, BUNDLES.c.reason)
)
_WAITING_IN = (
    select(BUNDLE_MEMBERS.c.object_id)
    .where(BUNDLE_MEMBERS.c.bundle_id == bindparam("bundle_id"), _WAITING)
    .order_by(BUNDLE_MEMBERS.c.object_id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedBundle:
    """Why a bundle was closed just now, and the objects whose part is to be routed."""

    reason: str
    object_ids: tuple[str, ...]


def has_due(conn: Connection) -> bool:
    """Whether `close_due` would close any; a read."""
    return bool(conn.scalar(_HAS_DUE))


def close_due(conn: Connection, *, limit: int) -> list[ClosedBundle]:
    """Close at most `limit` bundles whose time has come. The caller rings for their objects."""
    closed = []
    for bundle_id in list(conn.scalars(_DUE, {"limit": limit})):
        for route, level, uid, again, reason in conn.execute(_CLOSE, {"of_id": bundle_id}).all():
            if again:
                _take_along(conn, bundle_id, (route, level, uid))
            ids = tuple(conn.scalars(_WAITING_IN, {"bundle_id": bundle_id}))
            closed.append(ClosedBundle(reason=reason or QUIET, object_ids=ids))
    return closed


_EARLIER = (
    select(
        BUNDLE_MEMBERS.c.object_id,
        BUNDLE_MEMBERS.c.modality,
        BUNDLE_MEMBERS.c.series_description,
    )
    .join_from(BUNDLE_MEMBERS, BUNDLES, BUNDLES.c.id == BUNDLE_MEMBERS.c.bundle_id)
    .join(OBJECTS, OBJECTS.c.id == BUNDLE_MEMBERS.c.object_id)
    .where(
        _OF_KEY,
        BUNDLES.c.id != bindparam("bundle_id"),
        BUNDLE_MEMBERS.c.state == constant("routed"),
        OBJECTS.c.state == constant("routed"),
    )
    .order_by(BUNDLE_MEMBERS.c.object_id)
)
_BACK = (
    update(OBJECTS)
    .where(
        OBJECTS.c.id.in_(bindparam("ids", expanding=True)),
        OBJECTS.c.state == constant("routed"),
    )
    .values(state="bundled", settled_at=NOTHING, generation=OBJECTS.c.generation + 1)
)
_EVENTS = insert(OBJECT_EVENTS).values(at=NOW)


def _take_along(conn: Connection, bundle_id: int, key: tuple[str, str, str]) -> None:
    """Route again, with what came late, all that earlier bundles had and that is still here."""
    found = {row[0]: row for row in conn.execute(_EARLIER, {**_named(key), "bundle_id": bundle_id})}
    ids = list(found)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        conn.execute(_BACK, {"ids": chunk})
        rows = [
            {
                "bundle_id": bundle_id,
                "object_id": one,
                "state": "waiting",
                "modality": found[one][1],
                "series_description": found[one][2],
            }
            for one in chunk
        ]
        conn.execute(_NEW_MEMBERS.on(conn), rows)
        event = {"kind": "bundled", "reason": "rebundled"}
        conn.execute(_EVENTS, [{"object_id": one, **event} for one in chunk])


ROUTABLE = OBJECTS.c.state.not_in(
    [constant("received"), constant("discarded"), constant("forgotten")]
)
_DUE_MEMBERS = (
    select(
        BUNDLE_MEMBERS.c.object_id,
        BUNDLE_MEMBERS.c.bundle_id,
        BUNDLES.c.route,
        BUNDLES.c.again,
        OBJECTS.c.study_instance_uid,
    )
    .join_from(BUNDLE_MEMBERS, BUNDLES, BUNDLES.c.id == BUNDLE_MEMBERS.c.bundle_id)
    .join(OBJECTS, OBJECTS.c.id == BUNDLE_MEMBERS.c.object_id)
    .where(
        BUNDLE_MEMBERS.c.object_id.in_(bindparam("ids", expanding=True)),
        _WAITING,
        _CLOSED,
        ROUTABLE,
    )
    .order_by(BUNDLE_MEMBERS.c.bundle_id)
)


def due_members(conn: Connection, ids: Sequence[str]) -> dict[str, tuple[DueMember, ...]]:
    """Of these objects those whose part in a closed bundle is to be routed now."""
    found: dict[str, tuple[DueMember, ...]] = {}
    for start in range(0, len(ids), CHUNK):
        for row in conn.execute(_DUE_MEMBERS, {"ids": ids[start : start + CHUNK]}):
            member = DueMember(
                object_id=row[0],
                bundle_id=row[1],
                route=row[2],
                again=row[3],
                study_instance_uid=row[4],
            )
            found[member.object_id] = (*found.get(member.object_id, ()), member)
    return found


_GATHERED = (
    select(
        OBJECTS.c.series_instance_uid,
        BUNDLE_MEMBERS.c.modality,
        func.count(OBJECTS.c.sop_instance_uid.distinct()),
    )
    .join_from(OBJECTS, BUNDLE_MEMBERS, BUNDLE_MEMBERS.c.object_id == OBJECTS.c.id)
    .join(BUNDLES, BUNDLES.c.id == BUNDLE_MEMBERS.c.bundle_id)
    .where(
        OBJECTS.c.study_instance_uid == bindparam("study_instance_uid"),
        BUNDLES.c.route == bindparam("route"),
    )
    .group_by(OBJECTS.c.series_instance_uid, BUNDLE_MEMBERS.c.modality)
)


def gathered(conn: Connection, route: str, study_instance_uid: str) -> Gathered:
    """What this route has gathered of a study so far, in open and in closed bundles."""
    wanted = {"route": route, "study_instance_uid": study_instance_uid}
    by_series: dict[str, int] = {}
    modalities: set[str] = set()
    for series, modality, count in conn.execute(_GATHERED, wanted):
        by_series[series or ""] = by_series.get(series or "", 0) + count
        modalities |= {modality} if modality else set()
    return Gathered(by_series=by_series, modalities=tuple(sorted(modalities)))

"""What a shadow rule set would have done differently: counters, and the latest cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from router.ledger.models_versions import SHADOW_COUNTS, SHADOW_DIFFERENCES
from router.ledger.statements import NOW, InsertNew
from router.ledger.texts import DETAIL_LIMIT, required

KEPT = 1000
"""Cases that are kept: enough to see what is different, and no table that grows for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One object that would have been treated differently. `detail` has no patient data."""

    object_id: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDifference:
    """The same as it is kept; `at` by the database's clock, milliseconds."""

    at: int
    object_id: str
    version: str
    shadow_version: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Of one version in force and one shadow: how many objects of each kind."""

    version: str
    shadow_version: str
    counts: Mapping[str, int]


_PAIR = ("version", "shadow_version", "kind")
_NEW = InsertNew(SHADOW_COUNTS)
_ADD = (
    update(SHADOW_COUNTS)
    .where(*(SHADOW_COUNTS.c[name] == bindparam(f"of_{name}") for name in _PAIR))
    .values(count=SHADOW_COUNTS.c.count + bindparam("more"))
)
_INSERT = insert(SHADOW_DIFFERENCES).values(at=NOW)
_LAST = select(func.max(SHADOW_DIFFERENCES.c.id))
_DROP = delete(SHADOW_DIFFERENCES).where(SHADOW_DIFFERENCES.c.id <= bindparam("last"))


def record(
    conn: Connection,
    version: str,
    shadow_version: str,
    counts: Mapping[str, int],
    differences: Sequence[Difference],
) -> None:
    """Add to the counters of this pair of versions, and keep these cases; older ones go."""
    pair = {"version": version, "shadow_version": shadow_version}
    for kind, more in sorted(counts.items()):
        key = {**pair, "kind": kind}
        conn.execute(_NEW.on(conn), {**key, "count": 0})
        conn.execute(_ADD, {**{f"of_{name}": value for name, value in key.items()}, "more": more})
    if not differences:
        return
    rows = [
        {
            **pair,
            "object_id": one.object_id,
            "kind": one.kind,
            "detail": required(one.detail, DETAIL_LIMIT),
        }
        for one in differences[-KEPT:]
    ]
    conn.execute(_INSERT, rows)
    conn.execute(_DROP, {"last": (conn.scalar(_LAST) or 0) - KEPT})


_COUNTS = select(*SHADOW_COUNTS.c).order_by(*SHADOW_COUNTS.c)


def comparisons(conn: Connection) -> list[Comparison]:
    """All counters, by pair of versions."""
    pairs: dict[tuple[str, str], dict[str, int]] = {}
    for version, shadow_version, kind, count in conn.execute(_COUNTS):
        pairs.setdefault((version, shadow_version), {})[kind] = count
    return [
        Comparison(version=version, shadow_version=shadow, counts=counts)
        for (version, shadow), counts in pairs.items()
    ]


_KEPT_COLUMNS = [SHADOW_DIFFERENCES.c[name] for name in KeptDifference.__slots__]
_LATEST = select(*_KEPT_COLUMNS).order_by(SHADOW_DIFFERENCES.c.id.desc()).limit(bindparam("limit"))


def latest(conn: Connection, limit: int) -> list[KeptDifference]:
    """The newest `limit` cases, newest first."""
    return [KeptDifference(**row) for row in conn.execute(_LATEST, {"limit": limit}).mappings()]


def forget(conn: Connection) -> None:
    """Begin to count anew."""
    conn.execute(delete(SHADOW_COUNTS))
    conn.execute(delete(SHADOW_DIFFERENCES))

"""The versions of the rules: every delivery names one, each can be read again, and one of them is
in force. Which one, the ledger says: every process that routes follows it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import Connection, Row, bindparam, func, select, update

from router.ledger.models import RULE_VERSIONS
from router.ledger.models_versions import RULE_ACTIVATIONS
from router.ledger.statements import NOW, InsertNew
from router.ledger.texts import DETAIL_LIMIT, bounded

Source: TypeAlias = Literal["files", "command", "rollback"]
"""What put a version in force: files that changed (or SIGHUP), `rules reload`, `rules rollback`."""

WHO_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesVersion:
    """Rule files as they were: file name to text. Times by the database's clock, milliseconds."""

    version: str
    recorded_at: int
    activated_at: int
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A version was put in force; it is so until the next serial."""

    serial: int
    at: int
    version: str
    source: str
    who: str | None
    why: str | None


_NEW = InsertNew(RULE_VERSIONS, recorded_at=NOW, activated_at=NOW)
_TOUCH = (
    update(RULE_VERSIONS)
    .where(RULE_VERSIONS.c.version == bindparam("of_version"))
    .values(activated_at=NOW)
)
_ACTIVATE = InsertNew(RULE_ACTIVATIONS, at=NOW)


def activate(
    conn: Connection,
    version: str,
    texts: Mapping[str, str],
    *,
    source: Source = "files",
    who: str = "",
    why: str = "",
    after: int | None = None,
) -> bool:
    """Keep these rules, and put them in force from now on.

    With `after`, only if the activation of that serial (0: none) is still the newest: of several
    processes that want the same, one does it. False: another one was faster. Nothing is noted
    where the version is in force already for the same sort of reason.
    """
    newest = in_force(conn)
    serial = newest.serial if newest else 0
    if after is not None and serial != after:
        return False
    if newest and newest.version == version and _pinned(newest.source) == _pinned(source):
        return True
    if not conn.execute(_TOUCH, {"of_version": version}).rowcount:
        row = {"version": version, "texts": json.dumps(dict(texts), sort_keys=True)}
        conn.execute(_NEW.on(conn), row)
    activation = {
        "serial": serial + 1,
        "version": version,
        "source": source,
        "who": bounded(who, WHO_LIMIT) or None,
        "why": bounded(why, DETAIL_LIMIT) or None,
    }
    conn.execute(_ACTIVATE.on(conn), activation)
    # Another transaction may have taken this serial: then its row stands, and not ours.
    now = in_force(conn)
    return now is not None and all(getattr(now, key) == activation[key] for key in activation)


def _pinned(source: str) -> bool:
    return source == "rollback"


_ACTIVATIONS = select(*(RULE_ACTIVATIONS.c[name] for name in Activation.__slots__)).order_by(
    RULE_ACTIVATIONS.c.serial.desc()
)
_IN_FORCE = _ACTIVATIONS.limit(1)
_OF_FILES = _ACTIVATIONS.where(RULE_ACTIVATIONS.c.source != "rollback").limit(1)
_NEWEST = _ACTIVATIONS.limit(bindparam("limit"))


def in_force(conn: Connection) -> Activation | None:
    """The newest activation; None before the first."""
    return _activation(conn.execute(_IN_FORCE).first())


def of_files(conn: Connection) -> Activation | None:
    """The newest activation that came from files: what the files were when they were last used."""
    return _activation(conn.execute(_OF_FILES).first())


def activations(conn: Connection, limit: int) -> list[Activation]:
    """The newest `limit` activations, newest first."""
    rows = conn.execute(_NEWEST, {"limit": limit})
    return [Activation(**row) for row in rows.mappings()]


def _activation(row: Row[tuple[object, ...]] | None) -> Activation | None:
    return None if row is None else Activation(**row._mapping)


_SELECT = select(
    RULE_VERSIONS.c.version,
    RULE_VERSIONS.c.recorded_at,
    RULE_VERSIONS.c.activated_at,
    RULE_VERSIONS.c.texts,
)
_ONE = _SELECT.where(RULE_VERSIONS.c.version == bindparam("version"))
_LIKE = (
    select(RULE_VERSIONS.c.version)
    .where(func.substr(RULE_VERSIONS.c.version, 1, bindparam("length")) == bindparam("begin"))
    .order_by(RULE_VERSIONS.c.version)
    .limit(10)
)
_ALL = _SELECT.order_by(RULE_VERSIONS.c.activated_at.desc(), RULE_VERSIONS.c.version)


def get(conn: Connection, version: str) -> RulesVersion | None:
    """One version; None if it was never in force."""
    row = conn.execute(_ONE, {"version": version}).first()
    return None if row is None else _version(*row)


def beginning_with(conn: Connection, begin: str) -> list[str]:
    """The versions (at most ten) whose names begin so."""
    return list(conn.scalars(_LIKE, {"begin": begin, "length": len(begin)}))


def newest_first(conn: Connection) -> list[RulesVersion]:
    """All versions, the one put in force last first."""
    return [_version(*row) for row in conn.execute(_ALL)]


def _version(version: str, recorded_at: int, activated_at: int, texts: str) -> RulesVersion:
    return RulesVersion(
        version=version,
        recorded_at=recorded_at,
        activated_at=activated_at,
        texts=json.loads(texts),
    )

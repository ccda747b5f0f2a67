"""The versions of the rules: every delivery names one, each can be read again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, update

from router.ledger.models import RULE_VERSIONS
from router.ledger.statements import NOW, InsertNew


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesVersion:
    """Rule files as they were: file name to text. Times by the database's clock, milliseconds."""

    version: str
    recorded_at: int
    activated_at: int
    texts: Mapping[str, str]


_NEW = InsertNew(RULE_VERSIONS, recorded_at=NOW, activated_at=NOW)
_ACTIVATE = (
    update(RULE_VERSIONS)
    .where(RULE_VERSIONS.c.version == bindparam("of_version"))
    .values(activated_at=NOW)
)


def activate(conn: Connection, version: str, texts: Mapping[str, str]) -> None:
    """Keep these rules, and note that they are in force from now on."""
    if not conn.execute(_ACTIVATE, {"of_version": version}).rowcount:
        row = {"version": version, "texts": json.dumps(dict(texts), sort_keys=True)}
        conn.execute(_NEW.on(conn), row)


_SELECT = select(
    RULE_VERSIONS.c.version,
    RULE_VERSIONS.c.recorded_at,
    RULE_VERSIONS.c.activated_at,
    RULE_VERSIONS.c.texts,
)
_ONE = _SELECT.where(RULE_VERSIONS.c.version == bindparam("version"))
_ALL = _SELECT.order_by(RULE_VERSIONS.c.activated_at.desc(), RULE_VERSIONS.c.version)


def get(conn: Connection, version: str) -> RulesVersion | None:
    """One version; None if it was never in force."""
    row = conn.execute(_ONE, {"version": version}).first()
    return None if row is None else _version(*row)


def newest_first(conn: Connection) -> list[RulesVersion]:
    """All versions, the one in force first."""
    return [_version(*row) for row in conn.execute(_ALL)]


def _version(version: str, recorded_at: int, activated_at: int, texts: str) -> RulesVersion:
    return RulesVersion(
        version=version,
        recorded_at=recorded_at,
        activated_at=activated_at,
        texts=json.loads(texts),
    )

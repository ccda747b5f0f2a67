"""The vault's rows: who became whom under de-identification, and who asked for it.

This module cannot read what it keeps: entries come sealed, and are found by keyed digests of the
names that people ask by (`router.vault`). One entry for all that is the same is enough, however
many objects say so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    BindParameter,
    Connection,
    CursorResult,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)

from router.ledger.models_vault import VAULT_AUDIT, VAULT_ENTRIES, VAULT_KEYS
from router.ledger.statements import CHUNK, NOW, InsertNew
from router.ledger.texts import required

Kind = Literal["patient", "study", "accession", "series", "instance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What something was called and is called now, in plain words: never to a log or a column.

    `project` is the name of the key that pseudonyms were made with. `parent`: what it belongs to
    now (an instance to a series, that to a study, that to a patient). `subject`: the Patient ID
    as it was. `days`: how far its dates were moved. `version` stands for the profile as it was.
    """

    project: str
    profile: str
    kind: Kind
    old: str
    new: str
    parent: str = ""
    subject: str = ""
    issuer: str = ""
    name: str = ""
    days: int | None = None
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPair:
    """A pair that only a key can read. `digest` is the same for two that say the same."""

    digest: bytes
    key_name: str
    project: str
    profile: str
    kind: str
    new_index: bytes
    old_index: bytes
    subject_index: bytes | None
    sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPair:
    """A sealed pair in the ledger since `at`, milliseconds since the epoch."""

    pair: SealedPair
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAudit:
    """Something that somebody asks of the vault. `asked` is sealed, by the key `key_name`."""

    who: str
    why: str
    action: str
    outcome: str
    entries: int | None = None
    key_name: str | None = None
    asked: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit(NewAudit):
    """The same as it was written down."""

    id: int
    at: int


_COLUMNS = [VAULT_ENTRIES.c[name] for name in SealedPair.__slots__]
_KEEP = InsertNew(VAULT_ENTRIES, at=NOW)
_KEEP_SINCE = InsertNew(VAULT_ENTRIES)
_INDEXES: BindParameter[bytes] = bindparam("indexes", expanding=True)
_DIGESTS: BindParameter[bytes] = bindparam("digests", expanding=True)
_DROP = delete(VAULT_ENTRIES).where(VAULT_ENTRIES.c.digest.in_(_DIGESTS))


def keep(conn: Connection, pairs: Sequence[SealedPair]) -> None:
    """Keep these; those that say what is kept already are passed over.

    Call it last in a transaction: two that keep the same wait for each other here, in one order.
    """
    if pairs:
        in_order = sorted(pairs, key=lambda pair: pair.digest)
        conn.execute(_KEEP.on(conn), [_row(pair) for pair in in_order])


def _row(pair: SealedPair) -> dict[str, object]:
    return {name: getattr(pair, name) for name in SealedPair.__slots__}


_NEW_KEY = InsertNew(VAULT_KEYS, first_used_at=NOW)
_KEYS = select(VAULT_KEYS.c.name, VAULT_KEYS.c.fingerprint)


def fingerprints(conn: Connection) -> dict[str, str]:
    """Of every key that has ever sealed something, by its name."""
    return {row[0]: row[1] for row in conn.execute(_KEYS)}


def ensure_key(conn: Connection, name: str, fingerprint: str) -> str:
    """Write down that this key seals; the fingerprint under its name, which may be another's."""
    conn.execute(_NEW_KEY.on(conn), {"name": name, "fingerprint": fingerprint})
    return fingerprints(conn)[name]


_BY_INDEX = select(*_COLUMNS, VAULT_ENTRIES.c.at).where(
    or_(VAULT_ENTRIES.c.new_index.in_(_INDEXES), VAULT_ENTRIES.c.old_index.in_(_INDEXES))
)
_BY_SUBJECT = select(*_COLUMNS, VAULT_ENTRIES.c.at).where(
    VAULT_ENTRIES.c.subject_index.is_not(None), VAULT_ENTRIES.c.subject_index.in_(_INDEXES)
)
_ORDER = (VAULT_ENTRIES.c.at, VAULT_ENTRIES.c.digest)


def called(conn: Connection, indexes: Sequence[bytes], *, limit: int) -> list[KeptPair]:
    """Pairs of which an old or a new name has one of these indexes, the oldest first."""
    statement = _BY_INDEX.order_by(*_ORDER).limit(bindparam("limit"))
    return _kept(conn.execute(statement, {"indexes": list(indexes), "limit": limit}))


def of_subjects(
    conn: Connection, indexes: Sequence[bytes], *, kind: Kind | None = None
) -> list[KeptPair]:
    """What is kept of these patients."""
    statement = _BY_SUBJECT if kind is None else _BY_SUBJECT.where(VAULT_ENTRIES.c.kind == kind)
    return _kept(conn.execute(statement.order_by(*_ORDER), {"indexes": list(indexes)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which pairs are meant; what is not said does not matter. `since`: milliseconds."""

    kinds: tuple[Kind, ...] = ()
    project: str | None = None
    since: int | None = None
    not_sealed_with: str | None = None
    subjects: tuple[bytes, ...] = ()


def page(
    conn: Connection, choice: Choice, *, after: bytes, limit: int, lock: bool = False
) -> list[KeptPair]:
    """The next `limit` pairs behind the digest `after`. `lock`: nobody else changes them."""
    statement = select(*_COLUMNS, VAULT_ENTRIES.c.at).where(VAULT_ENTRIES.c.digest > after)
    if choice.kinds:
        statement = statement.where(VAULT_ENTRIES.c.kind.in_(choice.kinds))
    if choice.project is not None:
        statement = statement.where(VAULT_ENTRIES.c.project == choice.project)
    if choice.since is not None:
        statement = statement.where(VAULT_ENTRIES.c.at >= choice.since)
    if choice.not_sealed_with is not None:
        statement = statement.where(VAULT_ENTRIES.c.key_name != choice.not_sealed_with)
    if choice.subjects:
        statement = statement.where(VAULT_ENTRIES.c.subject_index.in_(choice.subjects))
    statement = statement.order_by(VAULT_ENTRIES.c.digest).limit(limit)
    if lock:
        statement = statement.with_for_update(skip_locked=True)
    return _kept(conn.execute(statement))


def replace(conn: Connection, old: Sequence[KeptPair], new: Sequence[SealedPair]) -> None:
    """Each of the old ones by the new one in its place, which is kept since the same time."""
    drop(conn, old)
    rows = [{**_row(pair), "at": kept.at} for kept, pair in zip(old, new, strict=True)]
    if rows:
        conn.execute(_KEEP_SINCE.on(conn), rows)


def drop(conn: Connection, pairs: Sequence[KeptPair]) -> int:
    """Forget these; how many there were."""
    count = 0
    for start in range(0, len(pairs), CHUNK):
        digests = [kept.pair.digest for kept in pairs[start : start + CHUNK]]
        count += conn.execute(_DROP, {"digests": digests}).rowcount
    return count


_COUNTS = (
    select(
        VAULT_ENTRIES.c.key_name,
        VAULT_ENTRIES.c.project,
        VAULT_ENTRIES.c.kind,
        func.count(),
    )
    .group_by(VAULT_ENTRIES.c.key_name, VAULT_ENTRIES.c.project, VAULT_ENTRIES.c.kind)
    .order_by(VAULT_ENTRIES.c.project, VAULT_ENTRIES.c.kind, VAULT_ENTRIES.c.key_name)
)
_APPEND = insert(VAULT_AUDIT).values(at=NOW)
_AUDITS = (
    select(*(VAULT_AUDIT.c[name] for name in (*NewAudit.__slots__, "id", "at")))
    .order_by(VAULT_AUDIT.c.id.desc())
    .limit(bindparam("limit"))
)


def counts(conn: Connection) -> list[tuple[str, str, str, int]]:
    """Key, project, kind and number of what is kept; the whole table is read."""
    return [(row[0], row[1], row[2], row[3]) for row in conn.execute(_COUNTS)]


def append_audit(conn: Connection, new: NewAudit) -> None:
    """Write down who asked for what; nobody can take it back."""
    row = {name: getattr(new, name) for name in NewAudit.__slots__}
    conn.execute(_APPEND, {**row, "who": required(new.who, 128), "why": required(new.why, 1000)})


def audits(conn: Connection, *, limit: int) -> list[Audit]:
    """The newest first."""
    return [Audit(**row) for row in conn.execute(_AUDITS, {"limit": limit}).mappings()]


_SINCE = (
    select(*(VAULT_AUDIT.c[name] for name in (*NewAudit.__slots__, "id", "at")))
    .where(VAULT_AUDIT.c.id > bindparam("after"))
    .order_by(VAULT_AUDIT.c.id)
    .limit(bindparam("limit"))
)
_BEFORE = select(func.max(VAULT_AUDIT.c.id)).where(VAULT_AUDIT.c.at < NOW - bindparam("ago_ms"))


def audits_after(conn: Connection, audit_id: int, *, limit: int) -> list[Audit]:
    """What was asked after that, in its order."""
    terms = {"after": audit_id, "limit": limit}
    return [Audit(**row) for row in conn.execute(_SINCE, terms).mappings()]


def last_audit_before(conn: Connection, ago_ms: int) -> int:
    """The number of the last one that is older; 0: there is none."""
    return int(conn.scalar(_BEFORE, {"ago_ms": ago_ms}) or 0)


def _kept(result: CursorResult[Any]) -> list[KeptPair]:
    return [
        KeptPair(
            pair=SealedPair(**{name: row[name] for name in SealedPair.__slots__}), at=row["at"]
        )
        for row in result.mappings()
    ]

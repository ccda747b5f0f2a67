"""Asks the vault: who somebody is, and all pairs of a project. Nothing is answered that is not
written down before in the ledger's audit: who asked for what, when and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from router.ledger import Ledger, vault
from router.ledger.texts import required
from router.ledger.vault import Audit, Choice, KeptPair, Kind, NewAudit, Pair
from router.logs import get_logger
from router.vault.sealing import KeyMissing, Tampered, VaultKeys

MOST = 1000
"""Pairs that one name may stand for; pairs that are read at once."""

log = get_logger("vault")


class WrongSecret(Exception):
    """Names of keys whose secret is not the one that sealed under their name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A pair, since when it is kept (milliseconds since the epoch), and what it belongs to:
    the series, the study and the patient, as far as it is below them."""

    pair: Pair
    at: int
    belongs_to: tuple[Pair, ...] = ()


@dataclass(slots=True, kw_only=True)
class Unread:
    """What could not be opened: digests of rows that were touched, and how many rows there are by
    the name of a key that the site does not have."""

    touched: list[bytes] = field(default_factory=list)
    missing: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.touched) + sum(self.missing.values())

    def outcome(self, whole: str) -> str:
        """The audit's word for what came of it: `whole` where all was read."""
        return "touched" if self.touched else "incomplete" if self.missing else whole


class Asking:
    """Somebody who asks, with the site's keys. LedgerError: nothing was answered."""

    def __init__(self, ledger: Ledger, keys: VaultKeys, *, who: str, why: str) -> None:
        self._ledger = ledger
        self._keys = keys
        self._who = required(who, 128)  # as they are kept, and sealed with what was asked
        self._why = required(why, 1000)

    def note(
        self, action: str, outcome: str, *, entries: int | None = None, asked: str | None = None
    ) -> None:
        """Write down in the audit and say in the log. `asked`: sealed, and not logged."""
        new = NewAudit(
            who=self._who, why=self._why, action=action, outcome=outcome, entries=entries
        )
        if asked is not None:
            key, sealed = self._keys.seal_words(asked, beside=_beside(new))
            new = replace(new, key_name=key, asked=sealed)
        with self._ledger.write() as connection:
            vault.append_audit(connection, new)
        log.info("the vault was asked", who=new.who, action=action, outcome=outcome, n=entries)

    def admit(self, action: str, asked: str) -> None:
        """Write down that somebody begins to ask for more than one thing. WrongSecret."""
        self._check_secrets(action)
        self.note(action, "asked", asked=asked)

    def _check_secrets(self, action: str) -> None:
        with self._ledger.read() as connection:
            strangers = self._keys.strangers(vault.fingerprints(connection))
        if strangers:
            # What is asked for is not: it would be sealed with a secret that nobody knows.
            self.note(action, "wrong_secret")
            raise WrongSecret(", ".join(strangers))

    def lookup(self, name: str) -> tuple[list[Found], Unread]:
        """What an old or a new name stands for. WrongSecret."""
        self._check_secrets("lookup")
        unread = Unread()
        with self._ledger.read() as connection:
            rows = vault.called(connection, self._keys.indexes(name), limit=MOST)
            opened = self._opened(rows, unread)
            unread.missing = self._not_searched(connection)
            found = [
                Found(pair=pair, at=at, belongs_to=tuple(self._above(connection, pair)))
                for pair, at in opened.items()
            ]
        outcome = "touched" if unread.touched else "found" if found else "unknown"
        self.note("lookup", outcome, entries=len(found), asked=name)
        return found, unread

    def pairs(self, choice: Choice, unread: Unread) -> Iterator[tuple[Pair, int]]:
        """All that are chosen, in no order, each once a page; `admit` before, `note` after."""
        after = b""
        while True:
            with self._ledger.read() as connection:
                rows = vault.page(connection, choice, after=after, limit=MOST)
            if not rows:
                return
            after = rows[-1].pair.digest
            yield from self._opened(rows, unread).items()

    def words_of(self, audits: Sequence[Audit]) -> list[str | None]:
        """What was asked for, as far as a key opens it; this is written down, too. WrongSecret."""
        self.admit("audit", "what was asked")
        return [self._words(one) for one in audits]

    def _words(self, audit: Audit) -> str | None:
        if audit.key_name is None or audit.asked is None:
            return None
        try:
            return self._keys.open_words(audit.key_name, audit.asked, beside=_beside(audit))
        except KeyMissing:
            return f"(sealed with {audit.key_name})"
        except Tampered:
            return "(not as it was sealed)"

    def subjects(self, name: str) -> tuple[bytes, ...]:
        """What all pairs of the patient are found by who was or is called so."""
        indexes = set(self._keys.indexes_of_subject(name))
        with self._ledger.read() as connection:
            rows = vault.called(connection, self._keys.indexes(name), limit=MOST)
        for pair in self._opened(rows, Unread()):
            if pair.kind == "patient":
                indexes.update(self._keys.indexes_of_subject(pair.old))
        return tuple(sorted(indexes))

    def not_searched(self) -> Unread:
        """Rows whose key the site does not have: no name finds them."""
        with self._ledger.read() as connection:
            return Unread(missing=self._not_searched(connection))

    def forget(self, choice: Choice, asked: str) -> int:
        """Drop all that are chosen; how many. WrongSecret."""
        self.admit("forget", asked)
        count = 0
        while True:
            with self._ledger.write() as connection:
                rows = vault.page(connection, choice, after=b"", limit=MOST, lock=True)
                count += vault.drop(connection, rows)
            if not rows:
                break
        self.note("forget", "forgotten", entries=count)
        return count

    def reseal(self, progress: Callable[[int], None]) -> tuple[int, Unread]:
        """Seal all anew with the key that seals: how many, and what could not be opened.
        `progress` is told how many so far. WrongSecret."""
        self.admit("reseal", "")
        key = self._keys.sealing
        with self._ledger.write() as connection:
            vault.ensure_key(connection, key.name, key.fingerprint)
        choice, after, count, unread = Choice(not_sealed_with=key.name), b"", 0, Unread()
        while True:
            with self._ledger.write() as connection:
                rows = vault.page(connection, choice, after=after, limit=MOST, lock=True)
                if not rows:
                    break
                after = rows[-1].pair.digest
                count += self._resealed(connection, rows, unread)
            progress(count)
        self.note("reseal", unread.outcome("resealed"), entries=count)
        return count, unread

    def _resealed(self, connection: Connection, rows: Sequence[KeptPair], unread: Unread) -> int:
        old: list[KeptPair] = []
        opened: list[Pair] = []
        for row in rows:
            pair = self._open(row, unread)
            if pair is not None:
                old.append(row)
                opened.append(pair)
        vault.replace(connection, old, [self._keys.seal([pair])[0] for pair in opened])
        return len(old)

    def _open(self, row: KeptPair, unread: Unread) -> Pair | None:
        try:
            return self._keys.open(row.pair)
        except KeyMissing:
            name = row.pair.key_name
            unread.missing[name] = unread.missing.get(name, 0) + 1
        except Tampered:
            unread.touched.append(row.pair.digest)
        return None

    def _opened(self, rows: Sequence[KeptPair], unread: Unread) -> dict[Pair, int]:
        """What they say, each once, since when; sealed with two keys it says the same."""
        found: dict[Pair, int] = {}
        said: set[Pair] = set()
        for row in rows:
            pair = self._open(row, unread)
            if pair is not None and (same := replace(pair, version="")) not in said:
                said.add(same)
                found[pair] = row.at
        return found

    def _above(self, connection: Connection, pair: Pair) -> Iterator[Pair]:
        """What a pair belongs to, as the same profile of the same project named it."""
        while pair.parent:
            kinds = _ABOVE[pair.kind]
            rows = vault.called(connection, self._keys.indexes_of_new(pair.parent), limit=MOST)
            above = [
                one
                for one in self._opened(rows, Unread())
                if one.kind in kinds
                and one.new == pair.parent
                and (one.project, one.profile) == (pair.project, pair.profile)
            ]
            if not above:
                return
            # Of several (a patient's number was corrected) the one that it came with.
            pair = next((one for one in above if one.subject == pair.subject), above[0])
            yield pair

    def _not_searched(self, connection: Connection) -> dict[str, int]:
        """Keys that have sealed and are not the site's, and how many rows nobody can find by."""
        if set(vault.fingerprints(connection)) <= set(self._keys.names):
            return {}
        counts: dict[str, int] = {}
        for key, _, _, number in vault.counts(connection):
            if key not in self._keys.names:
                counts[key] = counts.get(key, 0) + number
        return counts


def _beside(audit: NewAudit) -> bytes:
    """What somebody asked for belongs to this question, and opens beside no other."""
    words = ["audit", audit.who, audit.why, audit.action, audit.outcome]
    return "\0".join(words).encode()


_ABOVE: dict[Kind, tuple[Kind, ...]] = {
    "patient": (),
    "study": ("patient",),
    "accession": ("study",),
    "series": ("study",),
    "instance": ("series",),
}

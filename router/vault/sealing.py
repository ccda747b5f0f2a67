"""Seals pairs of names for the ledger, and opens them.

Each is sealed with AES-256-GCM under a key that HKDF makes of a secret of the site; everything else
in its row is authenticated with it, so that no row can pass for another one. What people look
it up by stands beside it as HMACs under a second key of the same secret: who has the rows and no
secret can see which belong together, and cannot try names. 2^32 rows may be sealed with one secret.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.config_vault import Vault
from router.ledger.vault import Pair, SealedPair

INDEX = 16
"""Bytes of an index: two of a billion names are the same with a chance of 10^-21."""
_NONCE = 12
_PURPOSE = b"dicom-router vault 1 "


class KeyMissing(Exception):
    """A row is sealed with a key that the site does not have; its name."""


class Tampered(Exception):
    """What is sealed is not what was sealed, or the secret is not the one that sealed it."""


class SealingKey:
    """One secret by its name."""

    def __init__(self, name: str, secret: str) -> None:
        self.name = name
        self._cipher = AESGCM(_derived(secret, b"seal"))
        self._index_key = _derived(secret, b"index")
        self.fingerprint = _derived(secret, b"fingerprint").hex()[:32]

    def index(self, purpose: str, text: str) -> bytes:
        """What a name is found by; another one for every purpose."""
        words = f"{purpose}\0{text.strip()}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._index_key, words, "sha256")[:INDEX]

    def encrypt(self, text: bytes, with_it: bytes) -> bytes:
        """The text behind its nonce; it opens only beside the same `with_it`."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, text, with_it)

    def decrypt(self, sealed: bytes, with_it: bytes) -> bytes:
        """Tampered if anything is different."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], with_it)
        except (InvalidTag, ValueError):
            raise Tampered from None


class VaultKeys:
    """All secrets of a site's vault: one seals, all open. Safe to use from many threads."""

    def __init__(self, settings: Vault) -> None:
        self._keys = {name: SealingKey(name, secret) for name, secret in settings.keys.items()}
        self.sealing = self._keys[settings.sealing_key]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def strangers(self, fingerprints: Mapping[str, str]) -> list[str]:
        """Names of keys whose secret is another one than what the ledger knows by that name."""
        return [
            key.name
            for key in self._keys.values()
            if fingerprints.get(key.name, key.fingerprint) != key.fingerprint
        ]

    def seal(self, pairs: Iterable[Pair]) -> list[SealedPair]:
        """Under the key that seals; what says the same is sealed once."""
        return [self._seal(pair) for pair in dict.fromkeys(pairs)]

    def _seal(self, pair: Pair) -> SealedPair:
        key, subject = self.sealing, pair.subject
        digest = key.index("pair", _content(pair))
        new, old = key.index("new", pair.new), key.index("old", pair.old)
        whose = key.index("subject", subject) if subject else None
        beside = _beside(key.name, pair.project, pair.profile, pair.kind, digest, new, old, whose)
        return SealedPair(
            digest=digest,
            key_name=key.name,
            project=pair.project,
            profile=pair.profile,
            kind=pair.kind,
            new_index=new,
            old_index=old,
            subject_index=whose,
            sealed=key.encrypt(_text(pair), beside),
        )

    def open(self, row: SealedPair) -> Pair:
        """KeyMissing, or Tampered."""
        key = self._keys.get(row.key_name)
        if key is None:
            raise KeyMissing(row.key_name)
        told = json.loads(key.decrypt(row.sealed, _beside_row(row)))
        return Pair(project=row.project, profile=row.profile, **told)

    def indexes(self, text: str) -> list[bytes]:
        """What a name is found by, old or new, under each key."""
        return [key.index(word, text) for key in self._keys.values() for word in ("new", "old")]

    def indexes_of_new(self, text: str) -> list[bytes]:
        return [key.index("new", text) for key in self._keys.values()]

    def indexes_of_subject(self, patient_id: str) -> list[bytes]:
        """What all of one patient's pairs are found by, under each key."""
        return [key.index("subject", patient_id) for key in self._keys.values()]

    def seal_words(self, words: str, *, beside: bytes) -> tuple[str, bytes]:
        """Words that open only beside the same bytes: the key's name, and the sealed words."""
        key = self.sealing
        return key.name, key.encrypt(words.encode("utf-8", "surrogatepass"), beside)

    def open_words(self, key_name: str, sealed: bytes, *, beside: bytes) -> str:
        """KeyMissing, or Tampered."""
        key = self._keys.get(key_name)
        if key is None:
            raise KeyMissing(key_name)
        return key.decrypt(sealed, beside).decode("utf-8", "surrogatepass")


def _derived(secret: str, purpose: bytes) -> bytes:
    made = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE + purpose)
    return made.derive(secret.encode())


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _content(pair: Pair) -> str:
    """All that a pair says; two that differ in the profile's version alone say the same."""
    said = (pair.kind, pair.old, pair.new, pair.parent, pair.subject, pair.issuer, pair.name)
    return _encode((pair.project, pair.profile, *said, pair.days))


def _text(pair: Pair) -> bytes:
    said: dict[str, object] = {"kind": pair.kind, "old": pair.old, "new": pair.new}
    for name in ("parent", "subject", "issuer", "name", "days", "version"):
        if value := getattr(pair, name):
            said[name] = value
    return _encode(said).encode("ascii")


def _beside_row(row: SealedPair) -> bytes:
    words = (row.key_name, row.project, row.profile, row.kind)
    return _beside(*words, row.digest, row.new_index, row.old_index, row.subject_index)


def _beside(
    key_name: str,
    project: str,
    profile: str,
    kind: str,
    digest: bytes,
    new: bytes,
    old: bytes,
    subject: bytes | None,
) -> bytes:
    """What of a row is not sealed, and must not be changed either. Texts end with a byte that
    UTF-8 does not have; of the indexes the lengths are said."""
    words = [word.encode("utf-8", "surrogatepass") for word in (key_name, project, profile, kind)]
    indexes = (digest, new, old, subject or b"")
    lengths = b"".join(len(index).to_bytes(4, "big") for index in indexes)
    return b"\xff".join((*words, lengths)) + b"".join(indexes)

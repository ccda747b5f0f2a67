"""Sealing: what was sealed opens, what was touched does not, and nothing stands there to read."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config_vault import Vault
from router.ledger.vault import Pair, SealedPair
from router.vault.sealing import KeyMissing, Tampered, VaultKeys

FIRST, SECOND = "the first secret of this test", "the second secret of this test"
PATIENT = Pair(
    project="study-a", profile="research", kind="patient", old="0815", new="ABCDEF",
    subject="0815", issuer="HOSPITAL", name="Müller^Änne", days=-17, version="v1",
)  # fmt: skip


def keys(**secrets: str) -> VaultKeys:
    secrets = secrets or {"first": FIRST}
    return VaultKeys(Vault(keys=secrets, seal_with=next(iter(secrets))))


def sealed(pair: Pair, by: VaultKeys | None = None) -> SealedPair:
    (row,) = (by or keys()).seal([pair])
    return row


TEXTS = st.text(max_size=70)


@given(old=TEXTS, new=TEXTS, parent=TEXTS, name=TEXTS, days=st.none() | st.integers(-400, -1))
def test_what_was_sealed_opens(old: str, new: str, parent: str, name: str, days: int | None):
    pair = replace(PATIENT, old=old, new=new, parent=parent, name=name, days=days, subject=old)
    assert keys().open(sealed(pair)) == pair


def test_nothing_of_it_stands_in_the_row():
    row = sealed(PATIENT)
    stands = b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for value in (getattr(row, field.name) for field in fields(row))
    )
    for word in ("0815", "ABCDEF", "HOSPITAL", "ller", "-17"):
        assert word.encode() not in stands


def test_the_same_has_the_same_digest_and_never_the_same_bytes():
    one, other = sealed(PATIENT), sealed(replace(PATIENT, version="v2"))
    assert one.digest == other.digest
    assert (one.new_index, one.old_index) == (other.new_index, other.old_index)
    assert one.sealed != other.sealed
    for field in ("old", "new", "issuer", "name", "parent", "profile", "project"):
        changed: dict[str, Any] = {field: "else"}
        assert sealed(replace(PATIENT, **changed)).digest != one.digest, field


def test_it_is_found_by_either_name_padded_or_not():
    row = sealed(PATIENT)
    assert row.old_index in keys().indexes(" 0815 ")
    assert row.new_index in keys().indexes("ABCDEF")
    assert row.old_index not in keys().indexes("ABCDEF")
    assert row.new_index in keys().indexes_of_new("ABCDEF")
    assert row.subject_index in keys().indexes_of_subject("0815")
    assert len({row.old_index, row.subject_index, row.digest}) == 3


@pytest.mark.parametrize("field", [field.name for field in fields(SealedPair)])
def test_a_row_that_was_touched_does_not_open(field: str):
    row = sealed(PATIENT, keys(first=FIRST, second=SECOND))
    value = getattr(row, field)
    other = value[:-1] + bytes([value[-1] ^ 1]) if isinstance(value, bytes) else "second"
    touched: dict[str, Any] = {field: other}
    with pytest.raises(Tampered):
        keys(first=FIRST, second=SECOND).open(replace(row, **touched))


@pytest.mark.parametrize("content", [b"", b"short", bytes(200)])
def test_what_was_never_sealed_does_not_open(content: bytes):
    with pytest.raises(Tampered):
        keys().open(replace(sealed(PATIENT), sealed=content))


def test_a_wrong_secret_does_not_open_and_is_known_by_its_fingerprint():
    wrong = keys(first=SECOND)
    with pytest.raises(Tampered):
        wrong.open(sealed(PATIENT))
    known = {"first": keys().sealing.fingerprint}
    assert wrong.strangers(known) == ["first"]
    assert keys().strangers(known) == []
    assert keys(second=SECOND).strangers(known) == []
    assert not set(sealed(PATIENT).old_index) <= set(known["first"].encode())


def test_earlier_keys_open_and_the_new_one_seals():
    both = keys(second=SECOND, first=FIRST)
    assert both.open(sealed(PATIENT)) == PATIENT
    assert sealed(PATIENT, both).key_name == "second"
    assert sealed(PATIENT).old_index in both.indexes("0815")
    with pytest.raises(KeyMissing, match="second"):
        keys().open(sealed(PATIENT, both))


def test_what_is_said_twice_is_sealed_once():
    assert len(keys().seal([PATIENT, PATIENT, replace(PATIENT, new="other")])) == 2


def test_words_of_the_audit_are_sealed_too():
    name, words = keys().seal_words("0815", beside=b"anna")
    assert b"0815" not in words
    assert keys().open_words(name, words, beside=b"anna") == "0815"
    for sealed_words, beside in ((words[:-1] + b"x", b"anna"), (words, b"bert")):
        with pytest.raises(Tampered):
            keys().open_words(name, sealed_words, beside=beside)
    with pytest.raises(KeyMissing):
        keys().open_words("other", words, beside=b"anna")
    with pytest.raises(Tampered):
        keys().open(replace(sealed(PATIENT), sealed=words))


def test_no_secret_is_shown():
    assert FIRST not in repr(Vault(keys={"first": FIRST}))

"""The vault's rows: kept once, found by index, dropped, replaced; an audit that nobody rewrites."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from router.ledger import Ledger, LedgerError, vault
from router.ledger.vault import Choice, KeptPair, NewAudit, SealedPair
from tests.contracts.plans import explained


def sealed(number: int, **changes: object) -> SealedPair:
    pair = SealedPair(
        digest=number.to_bytes(16, "big"),
        key_name="first",
        project="study-a",
        profile="research",
        kind="instance",
        new_index=b"new" + number.to_bytes(13, "big"),
        old_index=b"old" + number.to_bytes(13, "big"),
        subject_index=b"who" + bytes(13),
        sealed=bytes(range(256)),
    )
    return replace(pair, **changes)  # type: ignore[arg-type]


def keep(ledger: Ledger, *pairs: SealedPair) -> None:
    with ledger.write() as conn:
        vault.keep(conn, pairs)


def everything(ledger: Ledger, **terms: object) -> list[KeptPair]:
    choice = Choice(**terms)  # type: ignore[arg-type]
    with ledger.read() as conn:
        return vault.page(conn, choice, after=b"", limit=1000)


def test_what_says_the_same_is_kept_once(ledger: Ledger) -> None:
    keep(ledger, sealed(2), sealed(1))
    (first, second) = everything(ledger)
    keep(ledger, replace(sealed(1), sealed=b"another nonce"), sealed(3))
    assert [one.pair for one in everything(ledger)] == [sealed(1), sealed(2), sealed(3)]
    assert everything(ledger)[:2] == [first, second]
    assert first.at > 1_700_000_000_000


def test_a_pair_is_found_by_either_name(ledger: Ledger) -> None:
    keep(ledger, *(sealed(number) for number in range(1, 6)))
    with ledger.read() as conn:
        for index in (sealed(4).new_index, sealed(4).old_index):
            found = vault.called(conn, [b"stranger" * 2, index], limit=10)
            assert [one.pair for one in found] == [sealed(4)]
        assert vault.called(conn, [b"stranger" * 2], limit=10) == []
        both = vault.called(conn, [sealed(1).new_index, sealed(2).old_index], limit=10)
        assert len(both) == 2
        assert len(vault.called(conn, [sealed(1).new_index, sealed(2).old_index], limit=1)) == 1


def test_pages_are_chosen_and_have_an_end(ledger: Ledger) -> None:
    keep(
        ledger,
        sealed(1, kind="patient"),
        sealed(2, project="study-b"),
        sealed(3, key_name="second", subject_index=None),
        sealed(4),
    )
    with ledger.read() as conn:
        first = vault.page(conn, Choice(), after=b"", limit=3)
        rest = vault.page(conn, Choice(), after=first[-1].pair.digest, limit=3)
        assert vault.counts(conn) == [
            ("first", "study-a", "instance", 1),
            ("second", "study-a", "instance", 1),
            ("first", "study-a", "patient", 1),
            ("first", "study-b", "instance", 1),
        ]
    assert [one.pair.digest[-1] for one in (*first, *rest)] == [1, 2, 3, 4]

    def numbers(**terms: object) -> list[int]:
        return [one.pair.digest[-1] for one in everything(ledger, **terms)]

    assert numbers(kinds=("patient",)) == [1]
    assert numbers(project="study-b") == [2]
    assert numbers(not_sealed_with="first") == [3]
    assert numbers(subjects=(b"who" + bytes(13),)) == [1, 2, 4]
    assert numbers(since=everything(ledger)[0].at + 60_000) == []


def test_a_patient_is_forgotten_with_all_that_is_theirs(ledger: Ledger) -> None:
    keep(
        ledger, sealed(1, kind="patient"), sealed(2), sealed(3, subject_index=b"other" + bytes(11))
    )
    with ledger.write() as conn:
        assert [
            one.pair.kind for one in vault.of_subjects(conn, [b"who" + bytes(13)], kind="patient")
        ] == ["patient"]
        theirs = vault.of_subjects(conn, [b"who" + bytes(13)])
        assert vault.drop(conn, theirs) == 2
        assert vault.drop(conn, theirs) == 0
    assert [one.pair for one in everything(ledger)] == [
        sealed(3, subject_index=b"other" + bytes(11))
    ]


def test_a_pair_that_is_sealed_anew_is_as_old_as_before(ledger: Ledger) -> None:
    keep(ledger, sealed(1), sealed(2, digest=sealed(8).digest, key_name="second"))
    old = everything(ledger, not_sealed_with="second")
    with ledger.write() as conn:
        conn.execute(text("UPDATE vault_entries SET at = 1"))
        kept = vault.page(conn, Choice(not_sealed_with="second"), after=b"", limit=9, lock=True)
        vault.replace(
            conn, kept, [replace(old[0].pair, digest=sealed(9).digest, key_name="second")]
        )
    (same, moved) = everything(ledger)
    assert (same.pair.digest, moved.pair.digest) == (sealed(8).digest, sealed(9).digest)
    assert moved.at == 1


def test_a_name_is_looked_up_by_index_however_much_is_kept(ledger: Ledger) -> None:
    patients = {number: (number // 10).to_bytes(16, "big") for number in range(1, 4001)}
    keep(ledger, *(sealed(number, subject_index=who) for number, who in patients.items()))
    if ledger.dialect == "postgresql":
        with ledger.write() as conn:
            conn.execute(text("ANALYZE vault_entries"))
    names = [sealed(7).new_index, sealed(9).old_index, b"stranger" * 2]
    scans = {"Seq Scan vault_entries", "SCAN vault_entries"}
    for mode in ("force_custom_plan", "force_generic_plan"):  # SQLite has one kind
        with ledger.read() as conn, explained(conn, mode) as plans:
            assert len(vault.called(conn, names, limit=10)) == 2
            assert vault.of_subjects(conn, [b"nobody" + bytes(10)]) == []
        assert not scans & set(plans.lines)
        assert plans.laborious(100) == []


def test_the_first_secret_under_a_name_is_the_one_that_is_known(ledger: Ledger) -> None:
    with ledger.write() as conn:
        assert vault.ensure_key(conn, "first", "aa") == "aa"
        assert vault.ensure_key(conn, "first", "bb") == "aa"
        assert vault.ensure_key(conn, "second", "bb") == "bb"
        assert vault.fingerprints(conn) == {"first": "aa", "second": "bb"}


def test_the_audit_is_only_ever_appended_to(ledger: Ledger) -> None:
    asked = NewAudit(
        who="alice@host", why="x" * 2000, action="lookup", outcome="found", entries=2,
        key_name="first", asked=b"\0sealed",
    )  # fmt: skip
    with ledger.write() as conn:
        vault.append_audit(conn, asked)
        vault.append_audit(conn, NewAudit(who="bob", why="w", action="export", outcome="no_key"))
    with ledger.read() as conn:
        newest, oldest = vault.audits(conn, limit=5)
        assert len(vault.audits(conn, limit=1)) == 1
    assert (newest.who, newest.entries, newest.asked) == ("bob", None, None)
    assert (oldest.asked, len(oldest.why)) == (b"\0sealed", 1000)
    for change in ("UPDATE vault_audit SET who = 'nobody'", "DELETE FROM vault_audit"):
        with pytest.raises(LedgerError), ledger.write() as conn:
            conn.execute(text(change))
    with ledger.read() as conn:
        assert vault.audits(conn, limit=5) == [newest, oldest]


def test_workers_that_keep_the_same_at_once_do_not_stand_in_each_others_way(
    ledger: Ledger,
) -> None:
    pairs = [sealed(number) for number in range(1, 41)]
    failures: list[LedgerError] = []
    barrier = threading.Barrier(4)

    def work(turn: int) -> None:
        barrier.wait()
        try:
            for _ in range(5):
                keep(ledger, *(pairs if turn % 2 else pairs[::-1]))
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(everything(ledger)) == 40

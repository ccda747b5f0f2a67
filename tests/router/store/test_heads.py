"""Beginnings of files in memory: the right bytes, once, and never too many."""

import pytest

from router.store import heads, new_object_id
from router.store.heads import HEAD_BYTES, LEAST_BYTES, Heads


def test_what_is_kept_is_what_the_file_begins_with() -> None:
    kept = Heads()
    short, long = new_object_id(), new_object_id()
    kept.keep(short, [b"ab", memoryview(b"cd"), b""], whole=True)
    kept.keep(long, [b"x" * 10, b"y" * HEAD_BYTES, b"z"], whole=True)
    assert kept.take(short) == b"abcd"
    assert kept.take(long) == b"x" * 10 + b"y" * (HEAD_BYTES - 10)


def test_it_is_handed_out_once() -> None:
    kept = Heads()
    object_id = new_object_id()
    kept.keep(object_id, [b"ab"], whole=True)
    assert kept.take(object_id) == b"ab"
    assert kept.take(object_id) is None
    assert kept.take(new_object_id()) is None


def test_too_little_of_a_longer_file_is_not_kept() -> None:
    kept = Heads()
    few, enough = new_object_id(), new_object_id()
    kept.keep(few, [bytes(LEAST_BYTES - 1)], whole=False)
    kept.keep(enough, [bytes(LEAST_BYTES)], whole=False)
    assert kept.take(few) is None
    assert kept.take(enough) == bytes(LEAST_BYTES)


def test_when_all_room_is_taken_the_first_ones_stay_until_they_are_read() -> None:
    kept = Heads(room=4 * HEAD_BYTES)
    ids = [new_object_id() for _ in range(6)]
    for object_id in ids:
        kept.keep(object_id, [bytes(HEAD_BYTES)], whole=False)
    assert kept.take(ids[0]) is not None
    late = new_object_id()
    kept.keep(late, [bytes(HEAD_BYTES)], whole=False)
    found = [object_id for object_id in (*ids, late) if kept.take(object_id) is not None]
    assert found == [*ids[1:4], late]


def test_what_nobody_reads_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Heads(room=2 * HEAD_BYTES)
    forgotten = [new_object_id() for _ in range(2)]
    for object_id in forgotten:
        kept.keep(object_id, [bytes(HEAD_BYTES)], whole=False)
    monkeypatch.setattr(heads, "STALE_SECONDS", 0.0)
    new = new_object_id()
    kept.keep(new, [bytes(HEAD_BYTES)], whole=False)
    assert kept.take(forgotten[0]) is None
    assert kept.take(forgotten[1]) is not None
    assert kept.take(new) is not None

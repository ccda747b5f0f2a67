"""Objects in memory: the right bytes for as long as somebody looks at them, and never too many."""

from router.store import Recent, new_object_id
from router.store.recent import BUFFER, COPIED, Buffer

LONG = COPIED + 10


def keep(recent: Recent, data: bytes) -> str:
    buffer, object_id = recent.buffer(), new_object_id()
    buffer.bytes[: len(data)] = data
    recent.keep(object_id, buffer, len(data))
    return object_id


def test_what_is_kept_is_found_whole() -> None:
    recent = Recent()
    short, long = keep(recent, b"short"), keep(recent, b"x" * LONG)
    assert recent.find(short) == memoryview(b"short")
    assert recent.find(long) == memoryview(b"x" * LONG)
    assert recent.find(new_object_id()) is None


def test_the_oldest_make_room_for_new_ones() -> None:
    recent = Recent(room=3 * BUFFER)
    ids = [keep(recent, bytes([n]) * (BUFFER - 1)) for n in range(8)]
    found = [object_id for object_id in ids if recent.find(object_id) is not None]
    assert ids[-len(found) :] == found
    assert 1 <= len(found) <= 3


def test_buffers_are_used_again() -> None:
    recent = Recent(room=4 * BUFFER)
    used: list[Buffer] = []
    for _ in range(40):
        used.append(recent.buffer())
        recent.keep(new_object_id(), used[-1], BUFFER)
    assert len({id(buffer) for buffer in used}) <= 5


def test_what_somebody_looks_at_is_not_written_over() -> None:
    recent = Recent(room=2 * BUFFER)
    seen = recent.find(keep(recent, b"seen" * LONG))
    assert seen is not None
    for n in range(20):
        keep(recent, bytes([n]) * BUFFER)
    assert seen == b"seen" * LONG


def test_memory_is_bounded_whatever_the_lengths() -> None:
    recent = Recent(room=4 * BUFFER)
    for n in range(400):
        keep(recent, bytes([n % 256]) * (100, COPIED, BUFFER // 3, BUFFER)[n % 4])
        assert recent.memory() <= 4 * BUFFER


def test_what_is_deleted_is_forgotten() -> None:
    recent = Recent()
    gone, stays = keep(recent, b"x" * LONG), keep(recent, b"y")
    recent.forget([gone, new_object_id()])
    assert recent.find(gone) is None
    assert recent.find(stays) == memoryview(b"y")


def test_what_nobody_reads_gives_its_memory_back() -> None:
    recent = Recent()
    waits = keep(recent, b"x" * LONG)
    recent.let_go(older_than=60.0)
    assert recent.find(waits) is not None
    recent.let_go(older_than=0.0)
    assert recent.find(waits) is None
    assert recent.memory() == 0

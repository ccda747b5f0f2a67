"""Object ids."""

import threading
import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from router.store.ids import bucket_of, is_object_id, new_object_id


def test_an_id_is_a_uuid_of_version_7():
    made = uuid.UUID(hex=new_object_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_an_id_knows_when_it_was_made():
    before = time.time_ns() // 1_000_000
    object_id = new_object_id()
    made_at = int(object_id[:12], 16)
    assert before <= made_at <= time.time_ns() // 1_000_000 + 1
    assert int(bucket_of(object_id), 16) == made_at // 65536


def test_ids_grow():
    ids = [new_object_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))


def test_ids_differ_between_threads():
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(new_object_id() for _ in range(2000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 8000


@given(st.text(max_size=40))
def test_no_other_text_passes_for_an_id(text):
    looks_so = len(text) == 32 and all(character in "0123456789abcdef" for character in text)
    assert is_object_id(text) is looks_so

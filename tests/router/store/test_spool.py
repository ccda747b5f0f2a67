"""The spool: files between their first byte and their row in the ledger."""

import pytest

from router.store import MemoryStore, Spool, bucket_of, new_object_id


def test_a_begun_object_is_under_way_until_it_is_settled():
    spool = Spool(MemoryStore())
    first, writer = spool.begin()
    writer.commit()
    second, _ = spool.begin()
    assert spool.under_way() == {first, second}
    spool.settled([first, new_object_id()])
    assert spool.under_way() == {second}
    spool.settled([second, second])
    assert spool.under_way() == frozenset()


def test_the_checkpoint_is_the_oldest_bucket_under_way():
    spool = Spool(MemoryStore())
    oldest, _ = spool.begin()
    for _ in range(5):
        spool.begin()
    assert spool.checkpoint() == bucket_of(oldest)
    spool.settled(spool.under_way())
    before = bucket_of(new_object_id())
    assert before <= spool.checkpoint() <= bucket_of(new_object_id())


def test_a_file_that_cannot_be_made_is_not_under_way():
    class Full(MemoryStore):
        def create(self, object_id):
            raise OSError("no space")

    spool = Spool(Full())
    with pytest.raises(OSError, match="no space"):
        spool.begin()
    assert spool.under_way() == frozenset()

"""The store's contract, on every store."""

import errno
import mmap
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.store import DirectoryStore, MemoryStore, Recent, Store, bucket_of, new_object_id
from router.store.s3 import S3Store
from tests.s3_server import S3Server, place
from tests.s3_server import settings as s3_settings


@pytest.fixture(params=["directory", "directory of one process", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Every store there is; the one in a bucket under a prefix of its own."""
    if request.param == "directory":
        yield DirectoryStore(tmp_path / "store")
    elif request.param == "directory of one process":
        yield DirectoryStore(tmp_path / "store", recent=Recent())
    elif request.param == "memory":
        yield MemoryStore()
    else:
        server: S3Server = request.getfixturevalue("s3_server")
        s3 = S3Store(place(f"contract/{new_object_id()}"), s3_settings(server.endpoint))
        yield s3
        s3.close()


@pytest.fixture
def tells(store: Store) -> bool:
    """Whether the store says what was there already: S3 does not, without a request for it."""
    return not isinstance(store, S3Store)


def put(store: Store, data: bytes = b"", object_id: str | None = None) -> str:
    object_id = object_id or new_object_id()
    with store.create(object_id) as writer:
        writer.write(data)
        writer.commit()
    return object_id


def get(store: Store, object_id: str) -> bytes:
    with store.open(object_id) as stored:
        return stored.read_at(0, stored.size)


def test_what_was_committed_is_read_back(store: Store):
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.write(b"head")
        writer.write(memoryview(b"xxbodyxx")[2:-2])
        writer.write(bytearray(b"."))
        assert writer.size == 9
        writer.commit(sync=True)
    assert get(store, object_id) == b"headbody."


@pytest.mark.parametrize("sync", [True, False])
def test_an_empty_object_is_an_object(store: Store, sync: bool):
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.commit(sync=sync)
    with store.open(object_id) as stored:
        assert stored.size == 0
        assert stored.read_at(0, 10) == b""


@given(pieces=st.lists(st.binary(max_size=50), max_size=30))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_are_written_in_order(store: Store, pieces):
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.write(b"start")
        writer.writev(pieces)
        assert writer.size == 5 + sum(map(len, pieces))
        writer.commit(sync=False)
    assert get(store, object_id) == b"start" + b"".join(pieces)


def test_more_pieces_than_the_system_takes_at_once(store: Store):
    object_id = new_object_id()
    count = os.sysconf("SC_IOV_MAX") * 2 + 7
    with store.create(object_id) as writer:
        writer.writev([bytes([n % 256]) for n in range(count)])
        writer.commit(sync=False)
    assert get(store, object_id) == bytes(n % 256 for n in range(count))


def test_the_head_may_be_written_over_before_the_commit(store: Store):
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.write(b"\0\0\0\0data")
        writer.write_at(0, b"mark")
        writer.write(b"!")
        assert writer.size == 9
        writer.commit()
    assert get(store, object_id) == b"markdata!"


def test_an_id_is_taken_once(store: Store, tells: bool):
    object_id = put(store, b"first")
    if not tells:
        put(store, b"first", object_id)
        assert get(store, object_id) == b"first"
        return
    with pytest.raises(FileExistsError):
        store.create(object_id)
    assert get(store, object_id) == b"first"


def test_an_aborted_object_leaves_nothing(store: Store):
    object_id = new_object_id()
    writer = store.create(object_id)
    writer.write(b"half")
    writer.abort()
    writer.abort()
    with pytest.raises(FileNotFoundError):
        store.open(object_id)
    assert store.ids_in(bucket_of(object_id)) == []
    put(store, b"whole", object_id)
    assert get(store, object_id) == b"whole"


def test_leaving_the_block_uncommitted_aborts(store: Store):
    object_id = new_object_id()
    with pytest.raises(ZeroDivisionError), store.create(object_id) as writer:
        writer.write(b"x" * (1 // 0))
    with pytest.raises(FileNotFoundError):
        store.open(object_id)


def test_an_abort_after_the_commit_keeps_the_object(store: Store):
    object_id = new_object_id()
    writer = store.create(object_id)
    writer.write(b"kept")
    writer.commit()
    writer.abort()
    assert get(store, object_id) == b"kept"


def test_an_open_file_has_a_descriptor_for_the_kernel(store: Store):
    object_id = put(store, b"0123456789" * 1000)
    reading, writing = os.pipe()
    with store.open(object_id) as stored:
        assert os.sendfile(writing, stored.fileno(), 10, 5) == 5
        with mmap.mmap(stored.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            assert mapped[9990:] == b"0123456789"
        assert stored.read_at(9995, 100) == b"56789"
        assert stored.read_at(20_000, 100) == b""
        stored.close()
    assert os.read(reading, 5) == b"01234"
    os.close(reading)
    os.close(writing)


def test_an_open_file_outlives_its_deletion(store: Store):
    object_id = put(store, b"still here")
    with store.open(object_id) as stored:
        assert store.delete([object_id]) == 1
        assert stored.read_at(0, 100) == b"still here"
    with pytest.raises(FileNotFoundError):
        store.open(object_id)


@pytest.mark.parametrize("ahead", [None, 1, 1000, 1 << 30])
def test_blocks_are_the_bytes_in_their_order(store: Store, ahead: int | None):
    data = random.Random(7).randbytes((9 << 20) + 12345)
    object_id = put(store, data)
    with store.open(object_id, ahead=ahead) as stored:
        assert stored.size == len(data)
        for offset, length in ((0, len(data)), (999, 5 << 20), (8 << 20, 1 << 30), (5 << 20, 0)):
            blocks = [bytes(block) for block in stored.blocks(offset, length)]
            assert b"".join(blocks) == data[offset : offset + length]
            assert ahead == 1 << 30 or all(len(block) <= 4 << 20 for block in blocks)
        assert stored.read_at(7 << 20, 100) == data[7 << 20 : (7 << 20) + 100]
        assert os.pread(stored.fd, 1000, 8 << 20) == data[8 << 20 : (8 << 20) + 1000]
        assert os.fstat(stored.fd).st_size == len(data)


def test_blocks_may_be_left_before_their_end(store: Store):
    object_id = put(store, b"x" * (9 << 20))
    with store.open(object_id, ahead=1) as stored:
        blocks = stored.blocks(0, stored.size)
        assert next(blocks)


def test_what_is_gone_is_passed_over(store: Store, tells: bool):
    kept, gone = put(store), put(store)
    assert store.delete([gone, new_object_id()]) == (1 if tells else 2)
    assert store.delete([gone]) == (0 if tells else 1)
    assert store.delete([]) == 0
    assert get(store, kept) == b""


def test_ids_are_listed_by_bucket_oldest_first(store: Store):
    older, newer = "0199aaaa", "0199aaab"
    ids = [older + "7" * 24, older + "1" * 24, newer + "0" * 24]
    for object_id in ids:
        put(store, b"x", object_id)
    assert store.buckets() == [older, newer]
    assert store.ids_in(older) == sorted(ids[:2])
    assert store.ids_in("0199ffff") == []
    assert store.ids_in("../..") == []
    store.delete(ids[:2])
    assert newer in store.buckets()
    put(store, b"again", ids[0])
    assert store.ids_in(older) == [ids[0]]


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 31, "0" * 33, "G" * 32, "A" * 32])
def test_only_ids_are_keys(store: Store, name):
    with pytest.raises(ValueError, match="object id"):
        store.create(name)
    with pytest.raises(ValueError, match="object id"):
        store.open(name)
    with pytest.raises(ValueError, match="object id"):
        store.delete([name])


def test_what_another_store_has_is_adopted_whole_or_not_at_all(store: Store, tmp_path: Path):
    """Where False is said, nothing is there, and the bytes can be written instead."""
    spool = DirectoryStore(tmp_path / "spool")
    object_id = put(spool, b"received")
    adopted = store.adopt(object_id, spool)
    assert adopted == isinstance(store, DirectoryStore)
    if not adopted:
        put(store, b"received", object_id)
    spool.delete([object_id])
    assert get(store, object_id) == b"received"


def test_nothing_is_adopted_that_is_no_file(store: Store):
    memory = MemoryStore()
    object_id = put(memory, b"received")
    assert not store.adopt(object_id, memory)
    assert store.ids_in(bucket_of(object_id)) == []


def test_there_is_room(store: Store):
    assert store.free_bytes() > 1_000_000


def test_a_full_memory_store_says_so():
    store = MemoryStore(capacity=10)
    object_id = put(store, b"123456")
    assert store.free_bytes() == 4
    with pytest.raises(OSError, match="space") as caught, store.create(new_object_id()) as writer:
        writer.write(b"12345")
    assert caught.value.errno == errno.ENOSPC
    store.delete([object_id])
    assert store.free_bytes() == 10

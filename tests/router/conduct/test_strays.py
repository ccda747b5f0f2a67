"""What lies in a store elsewhere and not in the ledger: found, and taken in or deleted in time."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.conduct import strays
from router.conduct.strays import Strays
from router.ingress.reception import Provenance, Reception
from router.ingress.recovery import read_spooled
from router.ledger import Ledger, ReceivedObject, objects
from router.store import DirectoryStore, Spool, bucket_of, new_object_id

PROVENANCE = Provenance(
    listener="main",
    association_id="0" * 32,
    peer_address="127.0.0.1",
    calling_ae_title="CT01",
    called_ae_title="ROUTER",
)


class House:
    """A store, a ledger, and a clock that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.store = DirectoryStore(folder / "store")
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()
        self.now = time.time()
        self.restart()

    def restart(self) -> None:
        self.strays = Strays(self.ledger, self.store, read=read_spooled, clock=lambda: self.now)

    def stored(self, *, known: bool) -> ReceivedObject:
        reception = Reception(
            Spool(self.store),
            PROVENANCE,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"2.25.{time.time_ns()}",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
        )
        reception.write([memoryview(b"data set")])
        received = reception.finish(sync=False)
        if known:
            with self.ledger.write() as connection:
                objects.insert_received(connection, [received])
        return received

    def half(self) -> str:
        object_id = new_object_id()
        with self.store.create(object_id) as writer:
            writer.write(b"half")
            writer.commit()
        return object_id

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.strays.look()

    def knows(self, object_id: str) -> bool:
        with self.ledger.read() as connection:
            return object_id in objects.known_ids(connection, bucket_of(object_id))

    def checkpoint(self) -> str | None:
        with self.ledger.read() as connection:
            return objects.checkpoint(connection, strays.NODE)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.ledger.dispose()


LONG = strays.SETTLED_SECONDS + 70


def test_what_was_acknowledged_and_not_recorded_is_taken_in(house: House) -> None:
    known, lost = house.stored(known=True), house.stored(known=False)
    house.after(0)
    house.after(LONG)
    assert not house.knows(lost.id)
    house.after(strays.AGAIN_SECONDS)
    assert house.knows(lost.id)
    with house.ledger.read() as connection:
        (stored,) = objects.by_ids(connection, [lost.id])
    for name in ReceivedObject._fields:
        assert getattr(stored, name) == getattr(lost, name), name
    assert house.store.ids_in(bucket_of(known.id)) == sorted({known.id, lost.id})


def test_what_is_no_whole_object_is_deleted_when_nobody_can_be_at_it(house: House) -> None:
    half = house.half()
    house.after(LONG)
    house.after(strays.DELETE_SECONDS / 2)
    assert house.store.ids_in(bucket_of(half)) == [half]
    house.after(strays.DELETE_SECONDS / 2)
    assert house.store.ids_in(bucket_of(half)) == []


def test_another_leader_begins_its_own_count(house: House) -> None:
    half = house.half()
    house.after(LONG)
    house.now += strays.DELETE_SECONDS
    house.restart()
    house.after(0)
    assert house.store.ids_in(bucket_of(half)) == [half]


def test_what_becomes_known_meanwhile_is_left_alone(house: House) -> None:
    late = house.stored(known=False)
    house.after(LONG)
    assert house.checkpoint() is None
    with house.ledger.write() as connection:
        objects.insert_received(connection, [late])
    house.after(strays.AGAIN_SECONDS)
    assert house.checkpoint() == bucket_of(late.id)


def test_what_was_looked_at_is_not_looked_at_again(house: House, tmp_path: Path) -> None:
    buckets = [f"0199aaa{digit}" for digit in "123456789"]
    for bucket in buckets:
        object_id = bucket + "7" * 24
        with house.store.create(object_id) as writer:
            writer.commit()
        with house.ledger.write() as connection:
            received = house.stored(known=False)
            values = {name: getattr(received, name) for name in ReceivedObject._fields}
            objects.insert_received(connection, [ReceivedObject(**(values | {"id": object_id}))])
        house.store.delete([received.id])
    for looked_at in (4, 8, 9, 9):
        house.after(1)
        assert house.checkpoint() == buckets[looked_at - 1]
    house.restart()
    house.after(1)
    assert house.strays._looked_at.keys() == {buckets[-1]}

"""Objects that lie in a bucket: sent as they are, never when they are damaged, and when the store
is away nobody pays for it."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pydicom
import pytest

from router.config import Destination
from router.ledger import Ledger
from router.store import new_object_id
from router.store.s3 import S3Store
from tests.router.egress.surroundings import CT, ELE, ILE, House, Row, encode, pacs, small
from tests.s3_server import Proxy, place, settings

SIZES = {"in one request": 300_000, "in several": 10 << 20}


@pytest.fixture
def house(tmp_path: Path, s3_proxy: Proxy) -> Iterator[House]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.upgrade()
    store = S3Store(place(new_object_id()), settings(s3_proxy.endpoint, timeout=1.0))
    made = House(ledger, cast(Any, store))
    yield made
    made.pool.close()
    ledger.dispose()
    store.close()


def image(size: int) -> pydicom.Dataset:
    data_set = small(Rows=64, Columns=64, BitsAllocated=16)
    data_set.PixelData = random.Random(size).randbytes(size)
    data_set["PixelData"].VR = "OW"
    return data_set


def spoil(house: House, at: int) -> None:
    """Change a byte of the one object in the store, so many bytes before its end."""
    (bucket,) = house.store.buckets()
    (object_id,) = house.store.ids_in(bucket)
    with house.store.open(object_id) as file:
        data = bytearray(file.read_at(0, file.size))
    data[-at] ^= 1
    with house.store.create(object_id) as writer:
        writer.write(data)
        writer.commit()


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_arrives_byte_for_byte(house: House, scp, size: int):
    peer, sent = scp(), image(size)
    (uid,) = house.owe("pacs", sent)
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("delivered", 1, "stored")
    assert peer.bytes_of[uid] == encode(sent, ELE)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_is_encoded_anew_where_the_peer_takes_nothing_else(house: House, scp, size: int):
    peer, sent = scp({CT: [ILE]}), image(size)
    (uid,) = house.owe("pacs", sent)
    house.drain(pacs(peer.port))
    assert peer.bytes_of[uid] == encode(sent, ILE)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_it_is_written_into_a_folder(house: House, tmp_path: Path, size: int):
    sent = image(size)
    (uid,) = house.owe("files", sent)
    where = {"path": tmp_path / "out", "layout": "{PatientID}/{SOPInstanceUID}.dcm"}
    house.drain(Destination.model_validate({"name": "files", "folder": where}))
    assert house.rows()[uid] == Row("delivered", 1, "written")
    assert pydicom.dcmread(tmp_path / "out" / "P1" / f"{uid}.dcm").PixelData == sent.PixelData


@pytest.mark.parametrize("trouble", [{"status": 500}, {"away": True}, {"cut_after": 1000}])
def test_a_store_that_is_away_charges_nobody(house: House, scp, s3_proxy: Proxy, trouble):
    peer = scp()
    (uid,) = house.owe("pacs", image(300_000))
    for name, value in trouble.items():
        setattr(s3_proxy, name, value)
    assert not house.drain(pacs(peer.port)).left_due
    assert house.rows()[uid] == Row("waiting", 0, None)
    assert house.health("pacs").up
    assert house.slots_taken() == 0
    s3_proxy.behave()
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("delivered", 1, "stored")


def test_a_store_that_fails_in_the_middle_of_an_object_charges_nobody(
    house: House, scp, s3_proxy: Proxy
):
    peer = scp()
    (uid,) = house.owe("pacs", image(10 << 20))
    s3_proxy.status, s3_proxy.passes = 503, 1
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("waiting", 0, None)
    assert not peer.arrived
    s3_proxy.behave()
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("delivered", 1, "stored")


@pytest.mark.parametrize("at", [1, 9 << 20])
def test_a_long_object_that_is_damaged_never_arrives_whole(house: House, scp, at: int):
    peer = scp()
    (uid,) = house.owe("pacs", image(10 << 20))
    spoil(house, at)
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("waiting", 1, "payload_unreadable")
    assert not peer.arrived
    house.make_all_due()
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 2, "payload_damaged")
    assert not peer.arrived


@pytest.mark.parametrize("syntax", [ELE, ILE])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_damage_on_the_way_is_not_the_end_of_it(
    house: House, scp, s3_proxy: Proxy, size: int, syntax: str
):
    peer, sent = scp({CT: [syntax]}), image(size)
    (uid,) = house.owe("pacs", sent)
    s3_proxy.flip = 250_000
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("waiting", 1, "payload_unreadable")
    assert not peer.arrived
    s3_proxy.behave()
    house.make_all_due()
    house.drain(pacs(peer.port))
    assert peer.bytes_of[uid] == encode(sent, syntax)


def test_what_is_not_in_the_store_is_held(house: House, scp):
    peer = scp()
    (uid,) = house.owe("pacs", image(1000))
    (bucket,) = house.store.buckets()
    house.store.delete(house.store.ids_in(bucket))
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 1, "payload_missing")

"""From the spool into a store elsewhere: all of it, whatever that store does meanwhile."""

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.broker import Broker
from router.ingress import carrying
from router.ingress.intake import Intake
from router.ingress.reception import Provenance, Reception
from router.ledger import Ledger, ReceivedObject, objects
from router.store import DirectoryStore, Spool, Store, bucket_of, new_object_id
from router.store.s3 import S3Store
from tests.s3_server import Proxy, place, settings

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PROVENANCE = Provenance(
    listener="main",
    association_id="0" * 32,
    peer_address="127.0.0.1",
    calling_ae_title="CT01",
    called_ae_title="ROUTER",
)


class House:
    """A spool, a store elsewhere, a ledger, and intake between them."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()
        self.restart()

    def restart(self) -> None:
        self.spool = Spool(DirectoryStore(self.folder / "spool", passing=True))
        self.intake = Intake(
            ledger=self.ledger,
            broker=Broker("memory://"),
            spool=self.spool,
            node="test",
            store=self.store,
        )

    def receive(self, data: bytes = b"data set") -> ReceivedObject:
        reception = Reception(
            self.spool,
            PROVENANCE,
            sop_class_uid=CT,
            sop_instance_uid=f"2.25.{time.time_ns()}",
            transfer_syntax_uid=EXPLICIT,
        )
        reception.write([memoryview(data)])
        return reception.finish(sync=True)

    def known(self, came: list[ReceivedObject]) -> set[str]:
        with self.ledger.read() as connection:
            return {one.id for one in objects.by_ids(connection, [one.id for one in came])}

    def spooled(self) -> set[str]:
        return {
            one for bucket in self.spool.store.buckets() for one in self.spool.store.ids_in(bucket)
        }

    def all_arrived(self, came: list[ReceivedObject]) -> bool:
        return self.known(came) == {one.id for one in came} and not self.spooled()

    def bytes_of(self, one: ReceivedObject) -> bytes:
        with self.store.open(one.id) as file:
            return file.read_at(one.data_set_offset, one.size)


@pytest.fixture
def bucket(s3_proxy: Proxy) -> Iterator[S3Store]:
    store = S3Store(place(new_object_id()), settings(s3_proxy.endpoint, timeout=1.0))
    yield store
    store.close()


@pytest.fixture(params=["s3", "directory", "directory on another disk"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with contextlib.ExitStack() as places:
        store: Store = DirectoryStore(tmp_path / "shared")
        if request.param == "s3":
            store = request.getfixturevalue("bucket")
        elif request.param == "directory on another disk":
            if not Path("/dev/shm").is_dir():
                pytest.skip("no second file system at hand")
            other = tempfile.TemporaryDirectory(dir="/dev/shm")
            store = DirectoryStore(Path(places.enter_context(other)))
        house = House(tmp_path, store)
        yield house
        house.ledger.dispose()


@pytest.fixture
def distant(bucket: S3Store, tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, bucket)
    yield house
    house.ledger.dispose()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "RETRY_SECONDS", (0.02, 0.05))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "did not come about"
        threading.Event().wait(0.01)


def test_what_is_received_ends_in_the_store_and_leaves_the_spool(house: House) -> None:
    house.intake.start()
    came = [house.receive(bytes([n]) * (100_000 + n)) for n in range(30)]
    for one in came:
        house.intake.submit(one)
    wait_until(lambda: house.all_arrived(came))
    assert house.intake.stop(10)
    for number, one in enumerate(came):
        assert house.bytes_of(one) == bytes([number]) * (100_000 + number)
    assert not house.spool.under_way()


def test_a_restart_carries_on(house: House) -> None:
    came = [house.receive() for _ in range(5)]
    house.restart()
    house.intake.start()
    wait_until(lambda: house.all_arrived(came))
    assert house.intake.stop(10)


def test_a_copy_cut_short_by_a_crash_is_made_anew(tmp_path: Path) -> None:
    house = House(tmp_path, DirectoryStore(tmp_path / "shared"))
    one = house.receive(b"x" * 1000)
    with house.store.create(one.id) as writer:
        writer.write(b"half")
        writer.commit()
    house.restart()
    house.intake.start()
    wait_until(lambda: house.all_arrived([one]))
    assert house.intake.stop(10)
    assert house.bytes_of(one) == b"x" * 1000
    house.ledger.dispose()


def test_what_an_earlier_run_had_handed_over_is_handed_over_again(tmp_path: Path) -> None:
    house = House(tmp_path, DirectoryStore(tmp_path / "shared"))
    one = house.receive(b"x" * 1000)
    assert house.store.adopt(one.id, house.spool.store)
    house.restart()
    house.intake.start()
    wait_until(lambda: house.all_arrived([one]))
    assert house.intake.stop(10)
    assert house.bytes_of(one) == b"x" * 1000
    house.ledger.dispose()


def test_files_that_the_ledger_knows_are_left_overs(house: House) -> None:
    one = house.receive()
    with house.ledger.write() as connection:
        objects.insert_received(connection, [one])
    house.restart()
    house.intake.start()
    wait_until(lambda: not house.spooled())
    assert house.intake.stop(10)
    assert house.store.ids_in(bucket_of(one.id)) == []


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 500}, {"away": True}])
def test_while_the_store_fails_receiving_goes_on_and_nothing_is_lost(
    distant: House, s3_proxy: Proxy, trouble: dict[str, object]
) -> None:
    for name, value in trouble.items():
        setattr(s3_proxy, name, value)
    distant.intake.start()
    came = [distant.receive() for _ in range(30)]
    for one in came:
        distant.intake.submit(one)
    wait_until(lambda: len(s3_proxy.requests) > 30)
    assert not distant.known(came)
    assert len(distant.spooled()) == 30
    s3_proxy.behave()
    wait_until(lambda: distant.all_arrived(came))
    assert distant.intake.stop(10)


def test_more_than_waits_in_memory_is_left_to_a_scan(distant: House, s3_proxy: Proxy) -> None:
    carriage = distant.intake._carriage
    assert carriage is not None
    carriage._line.maxsize = 5
    s3_proxy.status = 503
    distant.intake.start()
    came = [distant.receive() for _ in range(60)]
    for one in came:
        distant.intake.submit(one)
    s3_proxy.behave()
    wait_until(lambda: distant.all_arrived(came))
    assert distant.intake.stop(10)


def test_a_stop_does_not_wait_for_a_store_that_is_away(distant: House, s3_proxy: Proxy) -> None:
    s3_proxy.away = True
    distant.intake.start()
    came = [distant.receive() for _ in range(30)]
    for one in came:
        distant.intake.submit(one)
    distant.intake.stop(10)
    s3_proxy.behave()
    distant.restart()
    distant.intake.start()
    wait_until(lambda: distant.all_arrived(came))
    assert distant.intake.stop(10)


def test_an_object_is_secure_when_the_store_has_it(distant: House) -> None:
    distant.intake.start()
    one = distant.receive()
    assert distant.intake.secure(one)
    assert distant.store.ids_in(bucket_of(one.id)) == [one.id]
    assert distant.spooled() == {one.id}
    distant.intake.submit_carried(one)
    wait_until(lambda: distant.all_arrived([one]))
    assert distant.intake.stop(10)


def test_what_cannot_be_secured_in_time_is_gone(
    distant: House, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying, "SECURE_SECONDS", 0.2)
    distant.intake.start()
    s3_proxy.delay = 0.6
    one = distant.receive()
    began = time.monotonic()
    assert not distant.intake.secure(one)
    assert time.monotonic() - began < 0.5
    assert not distant.spooled()
    assert distant.intake.stop(10)
    s3_proxy.behave()
    wait_until(lambda: distant.store.ids_in(bucket_of(one.id)) == [])
    assert not distant.known([one])

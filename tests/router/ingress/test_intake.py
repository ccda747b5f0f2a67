"""What is durable gets into the ledger: at once, after an outage, or after a crash."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from router.broker import Broker
from router.ingress import intake as intake_module
from router.ingress.answers import Answer
from router.ingress.intake import Intake
from router.ingress.reception import Provenance, Reception
from router.ledger import Ledger, ReceivedObject, objects
from router.store import DirectoryStore, Spool
from router.tickets import RoutingTicket, Ticket

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PROVENANCE = Provenance(
    listener="main",
    association_id="0" * 32,
    peer_address="127.0.0.1",
    calling_ae_title="CT01",
    called_ae_title="ROUTER",
    tls_subject="CN=ct01",
)


class Bells(Broker):
    """The broker as it is, with an ear on what is published."""

    def __init__(self) -> None:
        super().__init__("memory://")
        self.heard: list[Ticket] = []

    def publish(self, ticket: Ticket) -> None:
        self.heard.append(ticket)
        super().publish(ticket)

    def objects(self) -> set[str]:
        named = (bell.object_ids for bell in self.heard if isinstance(bell, RoutingTicket))
        return {object_id for ids in named for object_id in ids}


class House:
    """Store, ledger and intake of one process; `restart` is what comes after a crash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()
        self.restart()

    def restart(self) -> None:
        self.spool = Spool(DirectoryStore(self.folder / "store"))
        self.broker = Bells()
        self.intake = Intake(ledger=self.ledger, broker=self.broker, spool=self.spool, node="test")

    def receive(
        self, data: bytes = b"data set", *, finish: bool = True, at_once: bool = False
    ) -> ReceivedObject | None:
        reception = Reception(
            self.spool,
            PROVENANCE,
            sop_class_uid=CT,
            sop_instance_uid=f"2.25.{time.time_ns()}",
            transfer_syntax_uid=EXPLICIT,
        )
        reception.write([memoryview(data)], last=at_once)
        return reception.finish(sync=True) if finish else None

    def known(self) -> set[str]:
        with self.ledger.read() as connection:
            return {
                object_id
                for bucket in self.spool.store.buckets()
                for object_id in objects.known_ids(connection, bucket)
            }


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.ledger.dispose()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "did not come about"
        threading.Event().wait(0.005)


def received(house: House, data: bytes = b"data set") -> ReceivedObject:
    result = house.receive(data)
    assert result is not None
    return result


def test_what_is_submitted_is_recorded_and_rung_for(house: House) -> None:
    house.intake.start()
    came = [received(house) for _ in range(20)]
    for one in came:
        house.intake.submit(one)
    assert house.intake.stop(10)
    assert house.known() == house.broker.objects() == {one.id for one in came}


@pytest.mark.parametrize("at_once", [False, True], ids=["piece by piece", "at once"])
def test_what_a_crash_left_in_the_spool_is_taken_in_as_it_was(house: House, at_once: bool) -> None:
    left = house.receive(b"x" * 100_000, at_once=at_once)
    assert left is not None
    house.restart()
    house.intake.start()
    wait_until(lambda: house.broker.objects() == {left.id})
    assert house.intake.stop(10)
    with house.ledger.read() as connection:
        (stored,) = objects.by_ids(connection, [left.id])
    for name in ReceivedObject._fields:
        assert getattr(stored, name) == getattr(left, name), name


def test_a_half_written_file_is_removed_and_nothing_else(house: House) -> None:
    whole = received(house)
    house.receive(finish=False)
    assert len(house.spool.store.ids_in(house.spool.store.buckets()[0])) == 2
    house.restart()
    house.intake.start()
    wait_until(lambda: house.broker.objects() == {whole.id})
    assert house.intake.stop(10)
    store = house.spool.store
    assert [object_id for b in store.buckets() for object_id in store.ids_in(b)] == [whole.id]


@pytest.mark.parametrize("at_once", [False, True], ids=["piece by piece", "at once"])
def test_a_file_cut_short_after_its_mark_is_no_object(house: House, at_once: bool) -> None:
    cut = house.receive(b"y" * 50_000, at_once=at_once)
    assert cut is not None
    path = house.folder / "store" / cut.id[:8] / f"{cut.id}.dcm"
    path.write_bytes(path.read_bytes()[:-1])
    house.restart()
    house.intake.start()
    house.intake.submit(received(house))
    wait_until(lambda: len(house.broker.objects()) == 1)
    assert house.intake.stop(10)
    assert cut.id not in house.known()


def test_an_object_under_way_is_left_alone_by_the_scan(house: House) -> None:
    house.receive(finish=False)
    house.intake.start()
    later = received(house)
    house.intake.submit(later)
    wait_until(lambda: later.id in house.broker.objects())
    assert house.intake.stop(10)
    assert sum(len(house.spool.store.ids_in(b)) for b in house.spool.store.buckets()) == 2


def test_a_discarded_reception_leaves_nothing(house: House) -> None:
    reception = Reception(
        house.spool,
        PROVENANCE,
        sop_class_uid=CT,
        sop_instance_uid="2.25.1",
        transfer_syntax_uid=EXPLICIT,
    )
    reception.write([memoryview(b"half")])
    reception.discard()
    assert all(not house.spool.store.ids_in(b) for b in house.spool.store.buckets())
    assert not house.spool.under_way()


def test_more_than_the_queue_holds_is_left_to_a_scan(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.intake._queue.maxsize = 5
    monkeypatch.setattr(intake_module, "QUEUE_LIMIT", 5)
    came = [received(house) for _ in range(12)]
    for one in came:
        house.intake.submit(one)
    house.intake.start()
    wait_until(lambda: house.broker.objects() >= {one.id for one in came})
    assert house.intake.stop(10)
    assert house.known() == {one.id for one in came}


def test_what_waits_for_the_ledger_is_counted(house: House) -> None:
    before = waiting()
    for _ in range(3):
        house.intake.submit(received(house))
    assert waiting() - before == 3
    house.intake.start()
    wait_until(lambda: waiting() == before)
    assert house.intake.stop(10)


def waiting() -> float:
    value = REGISTRY.get_sample_value("dicom_router_intake_waiting_objects")
    assert value is not None
    return value


def test_the_checkpoint_follows_what_is_settled(house: House) -> None:
    house.intake.start()
    house.intake.submit(received(house))
    wait_until(lambda: house.spool.under_way() == frozenset())
    assert house.intake.stop(10)
    with house.ledger.read() as connection:
        assert objects.checkpoint(connection, "test") == house.spool.checkpoint()


def test_answers_fit_into_an_error_comment() -> None:
    from router.ingress import answers

    found = [value for value in vars(answers).values() if isinstance(value, Answer)]
    assert len(found) >= 9
    assert all(len(answer.comment or "") <= 64 for answer in found)  # LO, PS3.7 annex E

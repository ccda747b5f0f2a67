"""From received objects to deliveries: real store, real ledger, rules as users write them."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from router.config import Loops
from router.ingress.reception import Provenance, Reception
from router.ledger import Ledger, ObjectState, objects
from router.ledger.queries import trace
from router.routing import batch
from router.routing.batch import Policy, Routing
from router.routing.making import NO_ROUTE
from router.store import DirectoryStore, Recent, Spool
from rules.loading import rules_of_texts
from rules.routes import RouteTable

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
PROVENANCE = Provenance(
    listener="main",
    association_id="0" * 32,
    peer_address="127.0.0.1",
    calling_ae_title="CT01",
    called_ae_title="ROUTER",
)
ALL_TO_PACS = "routes: [{name: all, send_to: [pacs]}]"


def slice_of(uid: str, **changes: object) -> bytes:
    data_set = Dataset()
    data_set.SOPClassUID = CT
    data_set.SOPInstanceUID = uid
    data_set.Modality = "CT"
    data_set.PatientID = "0815"
    data_set.AccessionNumber = "A1"
    data_set.StudyInstanceUID = "2.25.1"
    data_set.SeriesInstanceUID = "2.25.2"
    data_set.Rows = data_set.Columns = 32
    data_set.BitsAllocated = 16
    data_set.PixelData = bytes(range(256)) * 8
    for keyword, value in changes.items():
        setattr(data_set, keyword, value)
    encoded = io.BytesIO()
    pydicom.dcmwrite(
        encoded, data_set, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    return encoded.getvalue()


class House:
    """What routing works with, and how objects get there."""

    def __init__(self, folder: Path) -> None:
        self.store = DirectoryStore(folder / "store")
        self.spool = Spool(self.store)
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()

    def receive(self, data: bytes | None = None, uid: str | None = None) -> str:
        uid = uid or f"2.25.{time.time_ns()}"
        reception = Reception(
            self.spool,
            PROVENANCE,
            sop_class_uid=CT,
            sop_instance_uid=uid,
            transfer_syntax_uid=EXPLICIT,
        )
        reception.write([memoryview(slice_of(uid) if data is None else data)], last=True)
        received = reception.finish(sync=False)
        with self.ledger.write() as connection:
            objects.insert_received(connection, [received])
        self.spool.settled([received.id])
        return received.id

    def routing(
        self,
        rules: str,
        *,
        on_no_match: str = "hold",
        ignore_identical: bool = False,
        loops: Loops | None = None,
    ) -> Routing:
        table = rules_of_texts({"10.yaml": rules})
        policy = Policy(
            on_no_match=on_no_match, ignore_identical=ignore_identical, loops=loops or Loops()
        )
        return Routing(ledger=self.ledger, spool=self.spool, rules=lambda: table, policy=policy)

    def object(self, object_id: str) -> objects.StoredObject:
        with self.ledger.read() as connection:
            (stored,) = objects.by_ids(connection, [object_id])
        return stored

    def deliveries(self, object_id: str) -> dict[str, str]:
        """Destination to the id of the object that it gets."""
        with self.ledger.read() as connection:
            found = trace(connection, object_id)
        return {
            one.delivery.destination: one.delivery.payload_id
            for traced in found
            for one in traced.deliveries
        }

    def data_set(self, object_id: str) -> Dataset:
        stored = self.object(object_id)
        content = self.store.path_of(object_id).read_bytes()
        assert len(content) == stored.data_set_offset + stored.size
        return pydicom.dcmread(io.BytesIO(content))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.ledger.dispose()


def test_an_unedited_object_is_its_own_payload(house: House) -> None:
    object_id = house.receive()
    assert house.routing(ALL_TO_PACS).route([object_id]) == {"pacs"}
    assert house.deliveries(object_id) == {"pacs": object_id}
    stored = house.object(object_id)
    assert stored.state is ObjectState.ROUTED
    assert (stored.patient_id, stored.accession_number) == ("0815", "A1")
    assert (stored.study_instance_uid, stored.series_instance_uid) == ("2.25.1", "2.25.2")


def test_routing_a_ticket_twice_changes_nothing(house: House) -> None:
    object_id = house.receive()
    routing = house.routing(ALL_TO_PACS)
    routing.route([object_id])
    before = house.deliveries(object_id)
    assert routing.route([object_id, object_id]) == frozenset()
    assert house.deliveries(object_id) == before


def test_routes_with_the_same_result_share_one_derived_object(house: House) -> None:
    rules = """
routes:
  - {name: one, edits: [{prefix: {PatientID: EH-}}], send_to: [a]}
  - {name: two, edits: [{prefix: {PatientID: EH-}}], send_to: [b]}
  - {name: other, edits: [{prefix: {PatientID: XX-}}], send_to: [c]}
  - {name: plain, send_to: [d]}
"""
    object_id = house.receive()
    house.routing(rules).route([object_id])
    payloads = house.deliveries(object_id)
    assert payloads["a"] == payloads["b"] != payloads["c"]
    assert payloads["d"] == object_id
    assert house.data_set(payloads["a"]).PatientID == "EH-0815"
    assert house.data_set(payloads["c"]).PatientID == "XX-0815"
    assert house.data_set(payloads["a"]).PixelData == house.data_set(object_id).PixelData
    assert house.object(payloads["a"]).derived_from == object_id
    assert not house.spool.under_way()


def test_a_derived_file_tells_nothing_of_where_the_object_came_from(house: House) -> None:
    rules = "routes: [{name: x, edits: [{remove: [PatientID]}], send_to: [a]}]"
    object_id = house.receive()
    house.routing(rules).route([object_id])
    meta = house.data_set(house.deliveries(object_id)["a"]).file_meta
    assert not {"SendingApplicationEntityTitle", "PrivateInformation"} & set(meta.dir())


def test_an_edit_that_fails_holds_the_object_and_sends_what_could_be_sent(house: House) -> None:
    rules = """
routes:
  - {name: broken, edits: [{copy: {from: StudyDescription, to: StudyID}}], send_to: [research]}
  - {name: fine, send_to: [pacs]}
"""
    object_id = house.receive()
    assert house.routing(rules).route([object_id]) == {"pacs"}
    assert house.deliveries(object_id) == {"pacs": object_id}
    stored = house.object(object_id)
    assert (stored.state, stored.reason) == (ObjectState.HELD, "edit_failed")


@pytest.mark.parametrize(
    ("choice", "state", "destinations"),
    [
        ("hold", ObjectState.UNROUTED, {}),
        ("discard", ObjectState.DISCARDED, {}),
        ("fallback", ObjectState.ROUTED, {"fallback"}),
    ],
)
def test_what_no_route_matches_goes_where_the_site_says(
    choice: str, state: ObjectState, destinations: set[str], house: House
) -> None:
    rules = "routes: [{name: mr, when: {Modality: MR}, send_to: [pacs]}]"
    object_id = house.receive()
    house.routing(rules, on_no_match=choice).route([object_id])
    assert house.object(object_id).state is state
    assert house.deliveries(object_id).keys() == set(destinations)
    if destinations:
        with house.ledger.read() as connection:
            (found,) = trace(connection, object_id)
        assert found.deliveries[0].delivery.route == NO_ROUTE


def test_each_object_of_a_series_is_judged_by_itself(house: House) -> None:
    rules = """
routes:
  - {name: axial, when: {ImageType: {contains: AXIAL}}, send_to: [ai]}
"""
    first = house.receive(slice_of("2.25.10", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"]))
    second = house.receive(slice_of("2.25.11", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    house.routing(rules).route([first, second])
    assert house.deliveries(first).keys() == {"ai"}
    assert house.deliveries(second) == {}


def test_a_malformed_object_is_held_and_the_others_go_on(house: House) -> None:
    broken = house.receive(slice_of("2.25.10")[:65])
    fine = house.receive()
    rules = "routes: [{name: ct, when: {Modality: CT}, send_to: [pacs]}]"
    assert house.routing(rules).route([broken, fine]) == {"pacs"}
    assert house.object(broken).reason == "malformed"
    assert house.deliveries(fine) == {"pacs": fine}


def test_an_object_whose_file_is_gone_is_held(house: House) -> None:
    object_id = house.receive()
    house.store.delete([object_id])
    house.routing(ALL_TO_PACS).route([object_id])
    assert house.object(object_id).reason == "file_missing"


def test_an_instance_that_keeps_coming_is_held_as_a_loop(house: House) -> None:
    loops = Loops(receptions=3, within=3600)
    routing = house.routing(ALL_TO_PACS, loops=loops)
    ids = []
    for _ in range(4):
        ids.append(house.receive(uid="2.25.10"))
        routing.route(ids[-1:])
    assert [house.object(one).reason for one in ids] == [None, None, "loop", "loop"]
    assert house.object(ids[-1]).patient_id == house.object(ids[0]).patient_id is not None
    with house.ledger.write() as connection:
        objects.route_again(connection, ids[-1:])
    assert routing.route(ids[-1:]) == {"pacs"}, "what a person gave back is held again"


def test_an_identical_object_is_ignored_where_the_site_says_so(house: House) -> None:
    routing = house.routing(ALL_TO_PACS, ignore_identical=True)
    first = house.receive(uid="2.25.10")
    same = house.receive(uid="2.25.10")
    other = house.receive(slice_of("2.25.10", PatientID="4711"), uid="2.25.10")
    routing.route([first, same, other])
    found = [house.object(one).state for one in (first, same, other)]
    assert found == [ObjectState.ROUTED, ObjectState.DISCARDED, ObjectState.ROUTED]


def test_a_full_disk_leaves_the_object_for_the_sweep(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = "routes: [{name: x, edits: [{remove: [PatientID]}], send_to: [a]}]"
    object_id = house.receive()
    routing = house.routing(rules)

    def full(_object_id: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "create", full)
        assert routing.route([object_id]) == frozenset()
    assert house.object(object_id).state is ObjectState.RECEIVED
    assert routing.route([object_id]) == {"a"}


def test_what_has_just_been_received_is_not_read_again(house: House) -> None:
    house.store = DirectoryStore(house.store.root, recent=Recent())
    house.spool = Spool(house.store)
    object_id = house.receive()
    house.store.path_of(object_id).unlink()
    house.routing(ALL_TO_PACS).route([object_id])
    assert house.object(object_id).state is ObjectState.ROUTED


def test_what_one_thread_has_in_hand_no_other_does_again(house: House) -> None:
    ids = [house.receive() for _ in range(3)]
    routing = house.routing(ALL_TO_PACS)
    table, entered, go_on = routing._rules(), threading.Event(), threading.Event()

    def slow() -> RouteTable:
        entered.set()
        assert go_on.wait(20)
        return table

    routing._rules = slow
    with ThreadPoolExecutor(1) as other:
        first = other.submit(routing.route, ids[:2])
        assert entered.wait(20)
        routing._rules = lambda: table
        assert routing.route(ids) == {"pacs"}  # the third alone
        states = [house.object(one).state for one in ids]
        go_on.set()
        assert first.result(20) == {"pacs"}
    assert states == [ObjectState.RECEIVED, ObjectState.RECEIVED, ObjectState.ROUTED]
    assert all(house.object(one).state is ObjectState.ROUTED for one in ids)


def test_what_takes_long_is_recorded_in_parts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "PART_SECONDS", 0.0)
    ids = [house.receive() for _ in range(3)]
    routing = house.routing(ALL_TO_PACS)
    table, before = routing._rules(), list[list[ObjectState]]()

    def watched() -> RouteTable:
        before.append([house.object(one).state for one in ids])
        return table

    routing._rules = watched
    assert routing.route(ids) == {"pacs"}
    came, went = ObjectState.RECEIVED, ObjectState.ROUTED
    assert before == [[came, came, came], [went, came, came], [went, went, came]]

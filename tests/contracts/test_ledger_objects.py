"""Objects in the ledger: recorded, routed, found, forgotten; on every database."""

import pytest

from router.ledger import (
    DeliveryState,
    DerivedObject,
    Identifiers,
    Ledger,
    NewDelivery,
    ObjectState,
    objects,
    queries,
)
from router.ledger.queries import TraceBy
from router.store import new_object_id


@pytest.mark.parametrize(
    ("subject", "size"),
    [
        ("CN=ct01", 1),
        (None, 0),
        ("", 2**53 + 1),
        ('CN="Ward\\7", [O]={x}', 2**63 - 1),
        ("CN=\t\x01\x7f\u2028 Пётр 放射線 \U0001f9b4", 7),
    ],
    ids=["usual", "none", "empty", "quoted", "controls-and-others"],
)
def test_a_received_object_is_read_back_as_it_came(
    ledger: Ledger, story, subject: str | None, size: int
):
    row = story.received(tls_subject=subject, size=size)
    with ledger.write() as conn:
        objects.insert_received(conn, [row])
    found = story.stored(row.id)
    for name in type(row)._fields:
        assert getattr(found, name) == getattr(row, name)
    assert found.state is ObjectState.RECEIVED
    assert found.generation == 0


@pytest.mark.parametrize("count", [0, 1, 3, 64, 199])
def test_each_of_a_batch_is_recorded_whatever_their_number(ledger: Ledger, story, count: int):
    """Rows go in several to a statement; some of these are known, or there twice."""
    rows = [story.received(size=number) for number in range(count)]
    with ledger.write() as conn:
        objects.insert_received(conn, rows[: count // 3])
        objects.insert_received(conn, [*rows, *rows[:2]])
    ids = [row.id for row in rows]
    story.record(*(story.route(row.id, f"to-{row.size % 3}") for row in rows))
    with ledger.read() as conn:
        found = objects.by_ids(conn, ids)
    assert [(one.id, one.size, one.sop_instance_uid) for one in found] == [
        (row.id, row.size, row.sop_instance_uid) for row in rows
    ]
    leased = [one for n in range(3) for one in story.lease(f"to-{n}", limit=200)]
    assert {one.object_id: one.destination for one in leased} == {
        row.id: f"to-{row.size % 3}" for row in rows
    }
    assert story.end(leased, took_ms=7) == count
    if count:
        (last,) = story.told(ids[-1]).deliveries
        assert (last.history[-1].took_ms, last.history[-1].state) == (7, "delivered")


def test_an_object_is_recorded_once(ledger: Ledger, story):
    first, second = story.received(), story.received()
    with ledger.write() as conn:
        objects.insert_received(conn, [first])
    story.record(story.route(first.id, "pacs"))
    with ledger.write() as conn:
        objects.insert_received(conn, [first, second])
        objects.insert_received(conn, [])
    assert story.stored(first.id).state is ObjectState.ROUTED
    assert story.stored(second.id).state is ObjectState.RECEIVED


@pytest.mark.parametrize(
    "title",
    ["NUL\0INSIDE", "\ud800 alone", "é" * 40, "x" * 40],
    ids=["nul", "half-a-surrogate", "long", "longer"],
)
def test_text_from_outside_never_fails_a_batch(ledger: Ledger, story, title):
    row = story.received(calling_ae_title=title, peer_address=title * 3)
    with ledger.write() as conn:
        objects.insert_received(conn, [row, story.received()])
    assert len(story.stored(row.id).calling_ae_title) <= 16


def test_known_ids_are_those_of_one_bucket(ledger: Ledger, story):
    ids = ["0199aaaa" + "0" * 24, "0199aaaa" + "f" * 24, "0199aaab" + "0" * 24]
    for object_id in ids:
        story.receive(id=object_id)
    with ledger.read() as conn:
        assert objects.known_ids(conn, "0199aaaa") == set(ids[:2])
        assert objects.known_ids(conn, "0199aaac") == set()


def test_objects_come_back_in_the_order_asked_for(ledger: Ledger, story):
    ids = story.receive(3)
    wanted = [ids[2], new_object_id(), ids[0]]
    with ledger.read() as conn:
        assert [found.id for found in objects.by_ids(conn, wanted)] == [ids[2], ids[0]]


def test_routing_makes_deliveries_and_history(story):
    (object_id,) = story.receive()
    identifiers = Identifiers(
        study_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        patient_id="P1",
        accession_number="A1",
    )
    result = story.route(
        object_id, "pacs", "research", identifiers=identifiers, detail="route all: no condition"
    )
    assert story.record(result) == {object_id}
    told = story.told(object_id)
    assert told.object.state is ObjectState.ROUTED
    assert told.object.study_instance_uid == "2.25.1"
    assert told.object.accession_number == "A1"
    assert told.object.rules_version == "v1"
    assert [line.kind for line in told.history] == ["routed"]
    assert told.history[0].detail == "route all: no condition"
    assert [one.delivery.destination for one in told.deliveries] == ["pacs", "research"]
    assert {one.delivery.state for one in told.deliveries} == {DeliveryState.WAITING}


def test_routing_the_same_ticket_twice_changes_nothing(story):
    (object_id,) = story.receive()
    assert story.record(story.route(object_id, "pacs")) == {object_id}
    before = story.told(object_id)
    assert story.record(story.route(object_id, "elsewhere")) == set()
    assert story.told(object_id) == before


def test_an_object_named_twice_in_one_batch_is_recorded_once(story):
    (object_id,) = story.receive()
    story.record(story.route(object_id, "pacs"), story.route(object_id, "pacs"))
    told = story.told(object_id)
    assert len(told.deliveries) == len(told.history) == 1


def test_unknown_objects_are_not_routed(story):
    assert story.record(story.route(new_object_id(), "pacs")) == set()


def test_a_derived_object_carries_the_delivery_and_is_told_with_its_original(ledger: Ledger, story):
    (object_id,) = story.receive()
    derived = DerivedObject(
        id=new_object_id(),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="2.25.77",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size=900,
        data_set_offset=400,
        checksum="ab" * 16,
        identifiers=Identifiers(study_instance_uid="2.25.78"),
    )
    owed = NewDelivery(destination="research", route="anonymous", payload_id=derived.id)
    story.record(story.route(object_id, derived=(derived,), deliveries=(owed,)))
    (leased,) = story.lease("research")
    assert leased.object_id == object_id
    assert leased.payload_id == derived.id
    assert (leased.sop_instance_uid, leased.size, leased.data_set_offset) == ("2.25.77", 900, 400)
    assert leased.study_instance_uid == "2.25.78"
    for value in ("2.25.77", "2.25.78", derived.id):
        with ledger.read() as conn:
            (told,) = queries.trace(conn, value)
        assert told.object.id == object_id
        assert [one.id for one in told.derived] == [derived.id]


@pytest.mark.parametrize("state", [ObjectState.HELD, ObjectState.UNROUTED, ObjectState.FAILED])
def test_what_was_not_routed_can_be_routed_again(ledger: Ledger, story, state):
    (object_id,) = story.receive()
    story.record(story.route(object_id, state=state, reason="no_match"))
    with ledger.read() as conn:
        assert queries.object_counts(conn) == {state: 1}
        assert [found.id for found in queries.objects_in(conn, state, limit=9)] == [object_id]
    with ledger.write() as conn:
        assert objects.route_again(conn, [object_id]) == 1
        assert objects.route_again(conn, [object_id]) == 0
    assert story.stored(object_id).generation == 1
    assert story.record(story.route(object_id, "pacs")) == {object_id}
    kinds = [line.kind for line in story.told(object_id).history]
    assert kinds == [state.value, "received", "routed"]
    assert len(story.lease("pacs")) == 1


def test_received_and_not_routed_are_found_oldest_first(ledger: Ledger, story):
    ids = story.receive(1) + story.receive(1) + story.receive(1)
    story.record(story.route(ids[1], "pacs"))
    with ledger.read() as conn:
        assert set(objects.received_not_routed(conn, limit=9, older_than_ms=0)) == {ids[0], ids[2]}
        assert len(objects.received_not_routed(conn, limit=1, older_than_ms=0)) == 1
        assert objects.received_not_routed(conn, limit=9, older_than_ms=3_600_000) == []


def test_earlier_copies_have_the_same_bytes_and_a_lesser_id(ledger: Ledger, story):
    first, second = story.receive(2, sop_instance_uid="2.25.5")
    (other,) = story.receive(sop_instance_uid="2.25.5", checksum="0" * 32)
    with ledger.read() as conn:
        assert not objects.has_earlier_copy(conn, story.stored(first))
        assert objects.has_earlier_copy(conn, story.stored(second))
        assert not objects.has_earlier_copy(conn, story.stored(other))
        assert objects.is_known(conn, "2.25.5")
        assert not objects.is_known(conn, "2.25.6")


def test_a_forgotten_copy_counts_no_more(ledger: Ledger, story):
    first, second = story.receive(2, sop_instance_uid="2.25.5")
    with ledger.write() as conn:
        objects.mark_forgotten(conn, [first])
    with ledger.read() as conn:
        assert not objects.has_earlier_copy(conn, story.stored(second))
        assert objects.is_known(conn, "2.25.5")


def test_receptions_are_counted_within_a_span(ledger: Ledger, story):
    story.receive(3, sop_instance_uid="2.25.5")
    with ledger.read() as conn:
        counts = objects.receptions_since(conn, ["2.25.5", "2.25.6", "2.25.5"], 60_000)
        assert counts == {"2.25.5": 3}
        assert objects.receptions_since(conn, ["2.25.5"], -60_000) == {}
        assert objects.receptions_since(conn, [], 60_000) == {}


class TestForgetting:
    """Only what nobody is owed any more is ever forgotten."""

    def forgettable(self, ledger: Ledger, retention_ms: int = -1000) -> set[str]:
        with ledger.read() as conn:
            return set(objects.forgettable(conn, retention_ms, 100))

    def test_not_before_every_delivery_has_ended(self, ledger: Ledger, story):
        (object_id,) = story.owe("pacs", "research")
        assert self.forgettable(ledger) == set()
        story.end(story.lease("pacs"))
        assert self.forgettable(ledger) == set()
        story.end(story.lease("research"))
        assert self.forgettable(ledger) == {object_id}
        assert self.forgettable(ledger, retention_ms=3_600_000) == set()

    @pytest.mark.parametrize("state", [DeliveryState.HELD, DeliveryState.FAILED])
    def test_not_while_a_person_must_decide(self, ledger: Ledger, story, state):
        story.owe("pacs", "research")
        story.end(story.lease("pacs"))
        story.end(story.lease("research"), state)
        assert self.forgettable(ledger) == set()

    @pytest.mark.parametrize(
        ("state", "forgotten"),
        [
            (ObjectState.DISCARDED, True),
            (ObjectState.ROUTED, True),
            (ObjectState.UNROUTED, False),
            (ObjectState.HELD, False),
            (ObjectState.FAILED, False),
        ],
    )
    def test_without_deliveries_the_verdict_decides(self, ledger: Ledger, story, state, forgotten):
        (object_id,) = story.receive()
        story.record(story.route(object_id, state=state))
        assert self.forgettable(ledger) == ({object_id} if forgotten else set())

    def test_what_was_derived_goes_with_its_original(self, ledger: Ledger, story):
        (object_id,) = story.receive()
        derived = DerivedObject(
            id=new_object_id(),
            sop_class_uid="1.2",
            sop_instance_uid="2.25.77",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            size=900,
            data_set_offset=400,
            checksum="ab" * 16,
        )
        owed = NewDelivery(destination="pacs", route="all", payload_id=derived.id)
        story.record(story.route(object_id, derived=(derived,), deliveries=(owed,)))
        assert self.forgettable(ledger) == set()
        story.end(story.lease("pacs"))
        assert self.forgettable(ledger) == {object_id, derived.id}
        with ledger.write() as conn:
            assert objects.mark_forgotten(conn, [object_id, derived.id]) == 2
        assert self.forgettable(ledger) == set()
        assert story.stored(object_id).state is ObjectState.FORGOTTEN
        assert [one.state for one in story.told(object_id).derived] == [ObjectState.FORGOTTEN]


def test_each_node_has_its_own_checkpoint(ledger: Ledger):
    with ledger.write() as conn:
        assert objects.checkpoint(conn, "node-1") is None
        objects.set_checkpoint(conn, "node-1", "0199aaaa")
        objects.set_checkpoint(conn, "node-2", "0199bbbb")
        objects.set_checkpoint(conn, "node-1", "0199aaab")
    with ledger.read() as conn:
        assert objects.checkpoint(conn, "node-1") == "0199aaab"
        assert objects.checkpoint(conn, "node-2") == "0199bbbb"


@pytest.mark.parametrize("by", list(TraceBy))
def test_an_object_is_traced_by_whatever_is_known_of_it(ledger: Ledger, story, by):
    (object_id, other) = story.receive(2)
    identifiers = Identifiers(
        study_instance_uid="2.25.1", patient_id="PATIENT 1", accession_number="ACC 1"
    )
    story.record(
        story.route(object_id, "pacs", identifiers=identifiers), story.route(other, "pacs")
    )
    stored = story.stored(object_id)
    value = object_id if by is TraceBy.OBJECT_ID else getattr(stored, by.value)
    with ledger.read() as conn:
        assert [told.object.id for told in queries.trace(conn, value, by)] == [object_id]
        assert [told.object.id for told in queries.trace(conn, value)] == [object_id]
        assert queries.trace(conn, value + "9", by) == []


def test_a_trace_shows_the_newest_first_and_no_more_than_asked_for(ledger: Ledger, story):
    ids = story.receive(5)
    study = Identifiers(study_instance_uid="2.25.1")
    story.record(*(story.route(object_id, "pacs", identifiers=study) for object_id in ids))
    with ledger.read() as conn:
        found = queries.trace(conn, "2.25.1", limit=3)
    assert [told.object.id for told in found] == ids[:1:-1]

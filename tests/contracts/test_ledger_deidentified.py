"""De-identified copies in the ledger, on every database: traces go both ways, and what is said of
a copy's UID lands on the delivery of that copy and on no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from router.commitment.data_sets import Transaction
from router.commitment.hearing import Heard, hear
from router.commitment.judging import KEPT, judge
from router.config import DestinationCommitment
from router.ledger import (
    DeliveryFilter,
    DeliveryState,
    DerivedObject,
    Identifiers,
    NewDelivery,
    commitments,
    objects,
    orders,
    queries,
)
from router.ledger.commitments import ToCommit
from router.ledger.orders import NewOrder
from router.store import new_object_id
from tests.contracts.conftest import CT_IMAGE_STORAGE, EXPLICIT_LITTLE_ENDIAN, Story

NOW = ToCommit(by_query=False, age_ms=0)
ORIGINAL = Identifiers(
    study_instance_uid="1.2.1",
    series_instance_uid="1.2.2",
    patient_id="0815",
    accession_number="A1",
)
COPY = Identifiers(study_instance_uid="2.25.1", series_instance_uid="2.25.2", patient_id="ABCDEF")
OLD, NEW = "1.2.3", "2.25.3"
NO_SUCH_INSTANCE = 0x0112


def copy_of(uid: str, known_as: Identifiers = COPY) -> DerivedObject:
    return DerivedObject(
        id=new_object_id(),
        sop_class_uid=CT_IMAGE_STORAGE,
        sop_instance_uid=uid,
        transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
        size=1000,
        data_set_offset=300,
        checksum="00",
        identifiers=known_as,
    )


def sent(story: Story, **copies: str) -> str:
    """One object, as it came to `pacs` and as copies with these UIDs to others; delivered."""
    (object_id,) = story.receive(sop_instance_uid=OLD)
    made = {name: copy_of(uid) for name, uid in copies.items()}
    owed = [NewDelivery(destination="pacs", route="all", payload_id=object_id)]
    owed += [
        NewDelivery(destination=name, route=name, payload_id=copy.id) for name, copy in made.items()
    ]
    story.record(
        replace(
            story.route(object_id),
            identifiers=ORIGINAL,
            derived=tuple(made.values()),
            deliveries=tuple(owed),
        )
    )
    for name in ("pacs", *copies):
        assert story.end(story.lease(name), to_commit=NOW) == 1
    return object_id


def ask(story: Story, destination: str, transaction: str) -> list[str]:
    """The UIDs that a destination is asked for."""
    with story.ledger.write() as conn:
        opened = commitments.open_request(
            conn, destination, transaction_uid=transaction, size=500, age_ms=0, grace_ms=60_000
        )
    assert opened is not None
    return [one.sop_instance_uid for one in opened[1]]


def report(
    story: Story, transaction: str, *kept: str, failed: dict[str, int] | None = None
) -> Heard:
    told = Transaction(uid=transaction, references=dict.fromkeys(kept, ""), failures=failed or {})
    return hear(story.ledger, told, lambda _: DestinationCommitment())


def settled(story: Story, object_id: str) -> bool:
    with story.ledger.read() as conn:
        return object_id in objects.forgettable(conn, retention_ms=0, limit=1000)


def test_a_trace_goes_both_ways_by_whatever_is_known(story: Story) -> None:
    object_id = sent(story, research=NEW)
    for value in (OLD, "1.2.1", "0815", "A1", NEW, "2.25.1", "ABCDEF"):
        with story.ledger.read() as conn:
            (traced,) = queries.trace(conn, value)
        assert (traced.object.id, traced.object.sop_instance_uid) == (object_id, OLD), value
        (copy,) = traced.derived
        assert (copy.sop_instance_uid, copy.patient_id) == (NEW, "ABCDEF")
        payloads = {one.delivery.destination: one.delivery.payload_id for one in traced.deliveries}
        assert payloads == {"pacs": object_id, "research": copy.id}


def test_two_projects_have_two_copies_of_one_original(story: Story) -> None:
    object_id = sent(story, research=NEW, sponsor="2.25.9")
    for uid in (NEW, "2.25.9"):
        with story.ledger.read() as conn:
            (traced,) = queries.trace(conn, uid)
        assert traced.object.id == object_id
        assert {copy.sop_instance_uid for copy in traced.derived} == {NEW, "2.25.9"}


def test_a_report_on_a_copy_lands_on_its_delivery_alone(story: Story) -> None:
    object_id = sent(story, research=NEW, sponsor="2.25.9")
    assert ask(story, "research", "2.25.100") == [NEW]
    assert ask(story, "pacs", "2.25.101") == [OLD]
    heard = report(story, "2.25.100", NEW)
    assert (heard.committed, heard.strange) == (1, 0)
    assert story.state_of(object_id, "research") is DeliveryState.COMMITTED
    assert story.state_of(object_id, "pacs") is DeliveryState.DELIVERED
    assert story.state_of(object_id, "sponsor") is DeliveryState.DELIVERED
    assert not settled(story, object_id)


def test_the_name_that_a_destination_was_not_sent_says_nothing(story: Story) -> None:
    object_id = sent(story, research=NEW)
    ask(story, "research", "2.25.100")
    ask(story, "pacs", "2.25.101")
    for transaction, uid in (("2.25.100", OLD), ("2.25.101", NEW)):
        heard = report(story, transaction, uid)
        assert (heard.committed, heard.strange) == (0, 1)
    assert story.state_of(object_id, "research") is DeliveryState.DELIVERED
    report(story, "2.25.101", OLD)
    report(story, "2.25.100", NEW)
    assert settled(story, object_id)


def test_a_copy_that_is_missing_there_is_sent_again_as_the_copy(story: Story) -> None:
    object_id = sent(story, research=NEW)
    ask(story, "research", "2.25.100")
    heard = report(story, "2.25.100", failed={NEW: NO_SUCH_INSTANCE})
    assert heard.refused == 1
    assert story.state_of(object_id, "pacs") is DeliveryState.DELIVERED
    (again,) = story.lease("research")
    assert (again.sop_instance_uid, again.object_id) == (NEW, object_id)


def test_what_came_twice_is_committed_twice(story: Story) -> None:
    ids = [sent(story, research=NEW) for _ in range(2)]
    assert ask(story, "research", "2.25.100") == [NEW, NEW]
    assert report(story, "2.25.100", NEW).committed == 2
    assert {story.state_of(one, "research") for one in ids} == {DeliveryState.COMMITTED}


def test_a_query_for_a_copy_asks_by_the_copys_study_and_series(story: Story) -> None:
    sent(story, research=NEW)
    with story.ledger.read() as conn:
        (asked,) = commitments.outstanding(conn, "research", limit=9)
        assert commitments.series_of(conn, [asked.delivery_id]) == {
            asked.delivery_id: ("2.25.1", "2.25.2")
        }


@pytest.mark.parametrize("policy", ["all", "any"])
def test_a_modality_asks_by_its_own_uid_and_a_copys_proof_counts(
    story: Story, policy: orders.Policy
) -> None:
    sent(story, research=NEW)
    new = NewOrder(
        transaction_uid="2.25.500", calling_ae_title="CT01", called_ae_title="ROUTER", source=None,
        policy=policy, reference=None, items={OLD: CT_IMAGE_STORAGE}, within_ms=3_600_000,
    )  # fmt: skip
    with story.ledger.write() as conn:
        order = orders.take(conn, new)
    assert order is not None

    def complete() -> bool:
        assert order is not None
        return judge(story.ledger, order, now=order.received_at, proving={"pacs", "research"})

    assert not complete()
    ask(story, "research", "2.25.100")
    report(story, "2.25.100", NEW)
    with story.ledger.read() as conn:
        assert orders.due(conn, limit=9) == [order.id]  # woken by what was said of the copy
    assert complete() == (policy == "any")
    ask(story, "pacs", "2.25.101")
    report(story, "2.25.101", OLD)
    assert policy == "any" or complete()
    with story.ledger.read() as conn:
        assert orders.results(conn, order.id) == {OLD: (CT_IMAGE_STORAGE, KEPT)}


@pytest.mark.parametrize(
    ("chosen", "destinations"),
    [
        (DeliveryFilter(sop_instance_uid=OLD), ["pacs", "research", "sponsor"]),
        (DeliveryFilter(study_instance_uid="1.2.1"), ["pacs", "research", "sponsor"]),
        (DeliveryFilter(sop_instance_uid=NEW), ["research"]),
        (DeliveryFilter(study_instance_uid="2.25.1"), ["research", "sponsor"]),
        (DeliveryFilter(sop_instance_uid="2.25.99"), []),
    ],
)
def test_a_queue_is_steered_by_either_name(
    story: Story, chosen: DeliveryFilter, destinations: list[str]
) -> None:
    sent(story, research=NEW, sponsor="2.25.9")
    with story.ledger.read() as conn:
        listed = queries.queue_list(conn, chosen, limit=9)
    assert sorted(one.destination for one in listed) == destinations

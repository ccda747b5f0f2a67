"""Commitment in the ledger, on every database: what is asked, answered, late, refused, expired."""

import time
import tracemalloc
from dataclasses import replace

from sqlalchemy import insert, text

from router.broker import Broker
from router.commitment.unanswered import expire
from router.conduct.commitment import measure_commitment, ring_for_commitment
from router.config import (
    Destination,
    DestinationCommitment,
    DicomDestination,
    Listener,
    Site,
)
from router.ledger import (
    DeliveryFilter,
    DeliveryState,
    DerivedObject,
    NewDelivery,
    commitments,
    deliveries,
    history,
    leases,
    objects,
    proofs,
    unproven,
)
from router.ledger.commitments import ToCommit
from router.ledger.models_commitment import COMMITMENT_REQUESTS, COMMITMENTS
from router.store import new_object_id
from router.tickets import Ticket
from tests.contracts.plans import explained

NOW = ToCommit(by_query=False, age_ms=0)
TERMS = {"size": 500, "age_ms": 0, "grace_ms": 60_000}


def deliver(story, *destinations, count=1, how=NOW):
    """Objects delivered to these; their ids."""
    ids = story.owe(*destinations, count=count)
    for name in destinations:
        assert story.end(story.lease(name, limit=1000), to_commit=how) == count
    return ids


def ask(story, destination="pacs", uid="2.25.1", **terms):
    with story.ledger.write() as conn:
        return commitments.open_request(
            conn, destination, transaction_uid=uid, **{**TERMS, **terms}
        )


def settled(story, object_id):
    with story.ledger.read() as conn:
        return object_id in objects.forgettable(conn, retention_ms=0, limit=1000)


def test_retention_waits_until_every_destination_has_committed(story):
    (one,) = deliver(story, "pacs", "vna")
    assert not settled(story, one)
    for uid, name in (("2.25.1", "pacs"), ("2.25.2", "vna")):
        _, asked = ask(story, name, uid)
        with story.ledger.write() as conn:
            proofs.commit(conn, asked)
        assert story.state_of(one, name) is DeliveryState.COMMITTED
        assert settled(story, one) == (name == "vna")
    (line,) = [told.history[-1] for told in story.told(one).deliveries][:1]
    assert line.state is DeliveryState.COMMITTED


def test_what_needs_no_proof_has_no_row(story):
    (one,) = story.owe("pacs")
    story.end(story.lease("pacs"))
    assert settled(story, one)
    assert ask(story) is None


def test_what_failed_is_not_asked_for(story):
    story.owe("pacs")
    story.end(story.lease("pacs"), DeliveryState.FAILED, to_commit=NOW)
    assert ask(story) is None


def test_a_request_takes_what_is_due_once(story):
    deliver(story, "pacs", count=3)
    _, first = ask(story, size=2)
    _, second = ask(story, uid="2.25.2")
    assert (len(first), len(second)) == (2, 1)
    assert ask(story, uid="2.25.3") is None
    assert {one.delivery_id for one in first}.isdisjoint(one.delivery_id for one in second)


def test_a_destination_is_due_by_age_or_by_size(story):
    def due(size):
        with story.ledger.read() as conn:
            return commitments.is_due(conn, "pacs", size=size, age_ms=60_000)

    deliver(story, "pacs", count=3, how=ToCommit(by_query=False, age_ms=60_000))
    assert not due(4)
    assert due(3)
    deliver(story, "pacs")
    assert due(100)
    with story.ledger.read() as conn:
        assert not commitments.is_due(conn, "vna", size=1, age_ms=60_000)


def test_what_was_edited_is_asked_for_as_it_was_sent(story):
    (one,) = story.receive()
    copy = DerivedObject(
        id=new_object_id(),
        sop_class_uid="1.2.3",
        sop_instance_uid="2.25.77",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size=1,
        data_set_offset=0,
        checksum="00",
    )
    owed = NewDelivery(destination="research", route="all", payload_id=copy.id)
    story.record(replace(story.route(one), derived=(copy,), deliveries=(owed,)))
    story.end(story.lease("research"), to_commit=NOW)
    _, (asked,) = ask(story, "research")
    assert (asked.object_id, asked.sop_class_uid) == (one, "1.2.3")
    assert asked.sop_instance_uid == "2.25.77"


def test_what_is_sent_again_is_asked_for_again_and_remembers_its_refusals(story):
    (one,) = deliver(story, "pacs")
    _, asked = ask(story)
    with story.ledger.write() as conn:
        proofs.send_again(conn, asked, reason="no_such_instance")
    assert story.state_of(one, "pacs") is DeliveryState.WAITING
    assert not settled(story, one)
    story.end(story.lease("pacs"), to_commit=NOW)
    _, (again,) = ask(story, uid="2.25.2")
    assert (again.delivery_id, again.refusals) == (asked[0].delivery_id, 1)


def test_a_held_one_keeps_its_object_and_a_person_may_send_it_again_or_give_it_up(story):
    first, second = deliver(story, "pacs", count=2)
    _, asked = ask(story)
    with story.ledger.write() as conn:
        proofs.hold(conn, asked, reason="sop_class_refused", detail="in words")
    assert story.state_of(first, "pacs") is DeliveryState.HELD
    assert not settled(story, first)
    with story.ledger.write() as conn:
        assert deliveries.retry(conn, DeliveryFilter(object_id=first), by="someone") == 1
        assert deliveries.cancel(conn, DeliveryFilter(object_id=second), by="someone") == 1
    assert settled(story, second)
    story.end(story.lease("pacs"), to_commit=NOW)
    assert ask(story, uid="2.25.2") is not None


def test_asking_again_waits_and_counts_what_was_said_and_what_was_not(story):
    deliver(story, "pacs", count=2)
    _, (first, second) = ask(story)
    with story.ledger.write() as conn:
        proofs.ask_again(conn, [first], wait_ms=0, reason="resource_limitation")
        proofs.ask_again(conn, [second], wait_ms=0, reason="not_answered", refused=False)
    _, again = ask(story, uid="2.25.2")
    counts = {one.delivery_id: (one.attempts, one.refusals) for one in again}
    assert counts == {first.delivery_id: (0, 1), second.delivery_id: (1, 0)}
    with story.ledger.write() as conn:
        proofs.ask_again(conn, again, wait_ms=60_000, reason="resource_limitation")
    assert ask(story, uid="2.25.3") is None


def test_a_request_expires_unless_it_was_taken_and_then_later(story):
    deliver(story, "pacs")
    request, _ = ask(story, grace_ms=-1)

    def expired():
        with story.ledger.write() as conn:
            return [one.id for one in commitments.expired(conn, limit=9)]

    assert expired() == [request]
    with story.ledger.write() as conn:
        commitments.taken(conn, request, within_ms=60_000)
    assert expired() == []
    with story.ledger.write() as conn:
        commitments.taken(conn, request, within_ms=-1)
        assert len(commitments.unanswered(conn, request)) == 1
        assert commitments.is_open(conn, "2.25.1")
        commitments.close(conn, request, "answered")
        commitments.close(conn, request, "expired")  # it was answered: that stands
        closed = commitments.by_transaction(conn, "2.25.1")
        assert closed is not None
        assert closed.state == "answered"
        assert not commitments.is_open(conn, "2.25.1")
    assert expired() == []


def test_who_is_alone_asks_anew_at_once_for_what_nobody_took(story):
    deliver(story, "pacs", count=2)
    unsent, _ = ask(story, size=1)
    sent, _ = ask(story, uid="2.25.2")
    with story.ledger.write() as conn:
        commitments.taken(conn, sent, within_ms=60_000)
        leases.abandon_all(conn)
    with story.ledger.write() as conn:
        assert [one.id for one in commitments.expired(conn, limit=9)] == [unsent]


def test_a_late_report_finds_what_it_is_about(story):
    (one,) = deliver(story, "pacs")
    _, asked = ask(story)
    with story.ledger.write() as conn:
        proofs.ask_again(conn, asked, wait_ms=0, reason="not_answered", refused=False)
        request = commitments.by_transaction(conn, "2.25.1")
        assert request is not None
        late = commitments.asked_before(conn, request, [asked[0].sop_instance_uid, "2.25.404"])
        assert [row.delivery_id for row in late] == [asked[0].delivery_id]
        proofs.hold(conn, late, reason="not_answered")
        assert commitments.asked_before(conn, request, [asked[0].sop_instance_uid])
        proofs.commit(conn, late)
        assert not commitments.asked_before(conn, request, [asked[0].sop_instance_uid])
    assert story.state_of(one, "pacs") is DeliveryState.COMMITTED
    assert settled(story, one)


def test_a_report_says_nothing_of_what_was_delivered_after_it_was_asked_for(story):
    (object_id,) = deliver(story, "pacs")
    _, asked = ask(story)
    uid = story.stored(object_id).sop_instance_uid
    (again,) = story.receive(sop_instance_uid=uid)
    story.record(story.route(again, "pacs"))
    with story.ledger.write() as conn:
        proofs.commit(conn, asked)
    story.end(story.lease("pacs"), to_commit=NOW)
    with story.ledger.write() as conn:
        request = commitments.by_transaction(conn, "2.25.1")
        assert request is not None
        request = replace(request, created_at=request.created_at - 10_000)
        assert commitments.asked_before(conn, request, [uid]) == []


def test_proof_by_query_is_a_turn_of_its_own(story):
    deliver(story, "pacs", how=ToCommit(by_query=True, age_ms=0))
    assert ask(story) is None
    with story.ledger.write() as conn:
        found = commitments.to_check(conn, "pacs", size=10)
        assert len(found) == 1
        proofs.check(conn, found, reason="query_failed", wait_ms=60_000, attempts=1)
        assert commitments.to_check(conn, "pacs", size=10) == []


def test_waived_proof_lets_the_object_go(story):
    (one,) = deliver(story, "pacs")
    with story.ledger.read() as conn:
        assert commitments.destinations(conn) == ["pacs"]
    _, asked = ask(story)
    with story.ledger.write() as conn:
        proofs.waive(conn, asked)
        assert commitments.destinations(conn) == []
    assert settled(story, one)
    assert story.state_of(one, "pacs") is DeliveryState.DELIVERED


def test_destinations_pending_and_age(story):
    deliver(story, "vna", "pacs", count=2)
    with story.ledger.read() as conn:
        assert commitments.destinations(conn) == ["pacs", "vna"]
        assert unproven.pending(conn, "pacs") == 2
        assert unproven.pending(conn, "nobody") == 0
        assert unproven.oldest_age_ms(conn, "pacs") >= 0
        assert unproven.oldest_age_ms(conn, "nobody") == 0


def test_history_ends_with_its_commitments_and_requests(story):
    (one,) = deliver(story, "pacs")
    request, asked = ask(story)
    with story.ledger.write() as conn:
        proofs.commit(conn, asked)
        objects.mark_forgotten(conn, [one])
        assert history.end(conn, -1) == 1
        assert proofs.end_requests(conn, -1) == 0  # still open
        commitments.close(conn, request, "answered")
        assert proofs.end_requests(conn, -1) == 1
        assert commitments.by_transaction(conn, "2.25.1") is None


def test_a_hundred_thousand_that_wait_cost_no_polling_of_them_all(story):
    """Every question that is asked again and again, beside a backlog: rows touched are bounded."""
    backlog(story.ledger, 100_000)
    for mode in ("force_custom_plan", "force_generic_plan"):
        with story.ledger.write() as conn, explained(conn, mode) as plans:
            for name in ("backlog", "nobody"):
                assert commitments.is_due(conn, name, size=500, age_ms=30_000) is False
                unproven.oldest_age_ms(conn, name)
                assert commitments.to_check(conn, name, size=100) == []
                opened = commitments.open_request(conn, name, transaction_uid="2.25.9", **TERMS)
                assert opened is None
            assert commitments.destinations(conn) == ["backlog"]
            assert commitments.expired(conn, limit=50) == []
        assert plans.laborious(2000) == []
        assert not [line for line in plans.lines if line.startswith("Seq Scan commitments")]


def test_the_conductor_keeps_nothing_of_a_hundred_thousand_that_wait(story, capsys):
    """Its duties, as they are done each second or two: how long they take, and what they keep."""
    backlog(story.ledger, 100_000)
    site = Site(
        listeners=(Listener(name="main", ae_title="ROUTER"),),
        destinations=(
            Destination(
                name="backlog",
                dicom=DicomDestination(ae_title="PACS", host="127.0.0.1"),
                commitment=DestinationCommitment(),
            ),
        ),
    )
    rung: list[Ticket] = []

    class Bell(Broker):
        def publish(self, ticket: Ticket) -> None:
            rung.append(ticket)

    bell = Bell("memory://")

    def duties():
        ring_for_commitment(story.ledger, bell, site)
        expire(story.ledger, lambda _: DestinationCommitment())

    duties()
    measure_commitment(story.ledger, site)
    began = time.perf_counter()
    for _ in range(50):
        duties()
    each_ms = (time.perf_counter() - began) / 50 * 1000
    began = time.perf_counter()
    measure_commitment(story.ledger, site)
    counting_ms = (time.perf_counter() - began) * 1000
    tracemalloc.start()
    try:
        for _ in range(20):
            duties()
            measure_commitment(story.ledger, site)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with capsys.disabled():
        figures = f"{each_ms:.1f} ms a round, {counting_ms:.0f} ms a count, {peak / 1e3:.0f} KB"
        print(f"\n{story.ledger.dialect}: 100,000 await their commitment: {figures}")
    assert rung == []
    assert peak < 1_000_000
    assert kept < 200_000


def backlog(ledger, count):
    """So many deliveries that were asked for, two hundred to a request, none answered."""
    later = 9_000_000_000_000
    with ledger.write() as conn:
        rows = [
            {
                "delivery_id": number,
                "object_id": f"{number:032x}",
                "destination": "backlog",
                "sop_class_uid": "1.2.3",
                "sop_instance_uid": f"2.25.{number}",
                "state": "requested" if number % 2 else "due",
                "request_id": number // 200 if number % 2 else None,
                "due_at": later,
                "attempts": 0,
                "refusals": 0,
                "delivered_at": number,
            }
            for number in range(1, count + 1)
        ]
        conn.execute(insert(COMMITMENTS), rows)
        requests = [
            {
                "id": number,
                "transaction_uid": f"2.25.9.{number}",
                "destination": "backlog",
                "state": "open",
                "items": 100,
                "created_at": number,
                "answer_by": later,
            }
            for number in range(1, count // 200 + 1)
        ]
        conn.execute(insert(COMMITMENT_REQUESTS), requests)
        conn.execute(text("ANALYZE"))

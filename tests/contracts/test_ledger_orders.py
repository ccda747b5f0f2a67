"""Orders of modalities in the ledger, on every database: taken once, looked at, reported."""

from dataclasses import replace

import pytest
from sqlalchemy import insert, text

from router.ledger import DeliveryState, commitments, orders, proofs
from router.ledger.commitments import ToCommit
from router.ledger.models_commitment import COMMITMENT_ORDERS
from router.ledger.orders import NewOrder
from tests.contracts.plans import explained

CT = "1.2.840.10008.5.1.4.1.1.2"
NEW = NewOrder(
    transaction_uid="2.25.1",
    calling_ae_title="CT01",
    called_ae_title="ROUTER",
    source="ct01",
    policy="all",
    reference=None,
    items={"2.25.10": CT, "2.25.11": CT},
    within_ms=3_600_000,
)


def take(story, new=NEW):
    with story.ledger.write() as conn:
        return orders.take(conn, new)


def claim(story, order_id, lease_ms=60_000):
    with story.ledger.write() as conn:
        return orders.claim(conn, order_id, lease_ms=lease_ms)


def due(story):
    with story.ledger.read() as conn:
        return orders.due(conn, limit=9)


def test_an_order_is_taken_once_however_often_it_comes(story):
    first = take(story)
    assert take(story) == first
    assert take(story, replace(NEW, calling_ae_title="MR01")).id != first.id
    assert take(story, replace(NEW, items={"2.25.10": CT})) is None
    with story.ledger.read() as conn:
        assert orders.results(conn, first.id) == {"2.25.10": (CT, None), "2.25.11": (CT, None)}
        assert orders.counts(conn) == {"open": 2}


def test_one_alone_looks_at_it_at_a_time_and_later_ever_more_seldom(story):
    order = take(story)
    assert due(story) == [order.id]
    claimed, now = claim(story, order.id)
    assert (claimed.id, claimed.answer_by - now) == (order.id, pytest.approx(3_600_000, abs=5000))
    assert claim(story, order.id) is None
    assert due(story) == []
    with story.ledger.write() as conn:
        orders.look_later(conn, order.id)
    assert due(story) == []


def test_results_stand_and_a_complete_order_is_reported_until_it_has_arrived(story):
    order = take(story)
    claim(story, order.id)
    with story.ledger.write() as conn:
        orders.record(conn, order.id, {"2.25.10": 0})
        orders.record(conn, order.id, {"2.25.10": 0x0112, "2.25.11": 0x0110})
        assert orders.results(conn, order.id) == {"2.25.10": (CT, 0), "2.25.11": (CT, 0x0110)}
        orders.complete(conn, order.id, lease_ms=60_000)
        assert orders.counts(conn) == {"reporting": 1}
        orders.report_later(conn, order.id, wait_ms=-1, reason="connect_refused")
    again, _ = claim(story, order.id)
    assert (again.state, again.attempts) == ("reporting", 1)
    with story.ledger.write() as conn:
        orders.end(conn, order.id, "reported")
        assert orders.counts(conn) == {}
    assert due(story) == []
    take(story)  # the modality has not heard, and asks again
    assert due(story) == [order.id]


def test_a_proof_wakes_who_waits_for_it_even_while_they_look(story):
    (object_id,) = story.owe("pacs")
    story.end(story.lease("pacs"), to_commit=ToCommit(by_query=False, age_ms=0))
    uid = story.stored(object_id).sop_instance_uid
    order = take(story, replace(NEW, items={uid: CT}))
    other = take(story, replace(NEW, transaction_uid="2.25.2"))
    for one in (order, other):
        claim(story, one.id)
    with story.ledger.write() as conn:
        opened = commitments.open_request(
            conn, "pacs", transaction_uid="2.25.7", size=9, age_ms=0, grace_ms=1000
        )
        assert opened is not None
        _, asked = opened
        proofs.commit(conn, asked)
        orders.look_later(conn, order.id)  # decided before the proof came
    assert due(story) == [order.id]


def test_what_is_known_is_of_the_latest_reception_with_its_deliveries(story):
    (first,) = story.owe("pacs")
    uid = story.stored(first).sop_instance_uid
    (second,) = story.receive(sop_instance_uid=uid)
    story.record(story.route(second, "pacs", "vna"))
    story.end(story.lease("vna"))
    with story.ledger.read() as conn:
        known = orders.kept(conn, [uid, "2.25.404"])
    assert known.keys() == {uid}
    found = {one.destination: one.delivery_state for one in known[uid]}
    assert found == {"pacs": DeliveryState.WAITING, "vna": DeliveryState.DELIVERED}
    assert {one.object_id for one in known[uid]} == {second}


def test_who_has_the_modality_on_the_line_takes_what_waits_for_its_next_attempt(story):
    order = take(story)
    claim(story, order.id)
    with story.ledger.write() as conn:
        orders.complete(conn, order.id, lease_ms=60_000)
        assert orders.of_caller(conn, "CT01", "ct01") == {order.id: False}  # somebody reports it
        assert orders.claim_here(conn, order.id, lease_ms=60_000) is None
        orders.report_later(conn, order.id, wait_ms=60_000, reason="no_address")
        assert orders.of_caller(conn, "CT01", "ct01") == {order.id: True}
        assert orders.of_caller(conn, "CT01", None) == {}
        assert orders.of_caller(conn, "CT02", "ct01") == {}
        assert orders.claim(conn, order.id, lease_ms=60_000) is None
        here = orders.claim_here(conn, order.id, lease_ms=60_000)
        assert here is not None
        claimed, _ = here
        assert claimed.state == "reporting"
        assert orders.claim_here(conn, order.id, lease_ms=60_000) is None
        orders.end(conn, order.id, "reported")
        assert orders.of_caller(conn, "CT01", "ct01") == {}


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_what_a_modality_was_told_long_ago_costs_nothing(story, mode):
    with story.ledger.write() as conn:
        rows = [
            {
                "transaction_uid": f"2.25.{number}",
                "calling_ae_title": "CT01",
                "called_ae_title": "ROUTER",
                "source": "ct01",
                "policy": "own",
                "state": "reported" if number > 5 else "open",
                "received_at": number,
                "answer_by": number,
                "next_attempt_at": number,
                "attempts": 0,
            }
            for number in range(10_000)
        ]
        conn.execute(insert(COMMITMENT_ORDERS), rows)
        conn.execute(text("ANALYZE"))
    with story.ledger.read() as conn, explained(conn, mode) as plans:
        assert len(orders.of_caller(conn, "CT01", "ct01")) == 6
    assert plans.laborious(100) == []

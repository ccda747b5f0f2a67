"""Draining a destination that misbehaves, and objects that do: who pays, and who does not."""

import socket
import threading

import pytest

from router.egress.pool import Keep
from tests.programs import wait_until
from tests.router.egress.surroundings import CT, ELE, ILE, JPEG, MR, Row, encode, pacs, small

DEAD_PORT = 1  # nobody listens there


@pytest.mark.parametrize(
    ("status", "row"),
    [
        (0xB000, Row("delivered", 1, "elements_coerced")),
        (0x0111, Row("delivered", 1, "duplicate")),
        (0xA900, Row("held", 1, "data_set_mismatch")),
        (0x0122, Row("held", 1, "sop_class_refused")),
        (0xC000, Row("waiting", 1, "cannot_understand")),
        (0x0110, Row("waiting", 1, "processing_failure")),
        (0xA700, Row("waiting", 0, "out_of_resources")),
    ],
)
def test_each_status_has_its_consequence(house, scp, status, row):
    peer = scp()
    (uid,) = house.owe("pacs", small())
    peer.script["*"] = status
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == row
    assert house.health("pacs").up == (status != 0xA700)


def test_an_object_that_is_never_understood_fails_after_three_attempts_and_harms_no_other(
    house, scp
):
    peer = scp()
    destination = pacs(peer.port)
    (bad,) = house.owe("pacs", small())
    peer.script[bad] = 0xC123
    for _ in range(3):
        house.owe("pacs", small())
        house.make_all_due()
        house.drain(destination)
    assert house.rows()[bad] == Row("failed", 3, "cannot_understand")
    assert house.states() == {"failed": 1, "delivered": 3}


def test_a_retry_sends_only_what_had_not_arrived(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(10)))
    peer.script[uids[3]] = 0xC000
    house.drain(pacs(peer.port))
    peer.script.clear()
    house.make_all_due()
    house.drain(pacs(peer.port))
    assert sorted(peer.arrived) == sorted(uids)


def test_a_poisoned_object_is_charged_and_the_others_pass(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(12)))
    peer.script[uids[0]] = "abort"
    house.drain(pacs(peer.port))
    rows = house.rows()
    assert rows[uids[0]].state == "waiting"
    assert rows[uids[0]].attempts == 1
    assert sorted(peer.arrived) == sorted(uids[1:])
    assert house.health("pacs").up
    for _ in range(2):
        house.make_all_due()
        house.owe("pacs", small())
        house.drain(pacs(peer.port))
    assert house.rows()[uids[0]].state == "failed"
    assert len(peer.arrived) == 13


def test_a_poisoned_object_alone_is_told_from_a_sick_peer_by_an_echo(house, scp):
    peer = scp()
    peer.ae.add_supported_context("1.2.840.10008.1.1")
    (uid,) = house.owe("pacs", small())
    peer.script[uid] = "abort"
    house.drain(pacs(peer.port))
    assert house.rows()[uid].attempts == 1
    assert house.health("pacs").up


def test_a_peer_that_aborts_every_object_is_down_and_no_object_pays(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(8)))
    peer.script["*"] = "abort"
    for _ in range(4):
        house.drain(pacs(peer.port))
        assert not house.health("pacs").up
        house.make_all_due()
    assert {row.attempts for row in house.rows().values()} == {0}
    assert house.states() == {"waiting": 8}
    peer.script.clear()
    house.drain(pacs(peer.port))
    assert sorted(peer.arrived) == sorted(uids)
    assert house.health("pacs").up


def test_a_dead_destination_goes_down_and_its_queue_waits_unharmed(house, scp):
    house.owe("pacs", *(small() for _ in range(5)))
    result = house.drain(pacs(DEAD_PORT))
    assert (result.delivered, result.left_due) == (0, False)
    assert house.states() == {"waiting": 5}
    assert {row.attempts for row in house.rows().values()} == {0}
    health = house.health("pacs")
    assert (health.up, health.failures, health.reason) == (False, 1, "connect_refused")
    # Until the probe is due, a drain does not even try.
    events = house.query("SELECT count(*) FROM delivery_events")[0][0]
    house.drain(pacs(DEAD_PORT))
    assert house.query("SELECT count(*) FROM delivery_events")[0][0] == events
    house.make_all_due()
    house.drain(pacs(DEAD_PORT))
    assert house.health("pacs").failures == 2
    house.make_all_due()
    peer = scp()
    assert house.drain(pacs(peer.port)).delivered == 5
    assert house.health("pacs").up


def test_a_peer_that_rejects_our_title_is_left_alone_for_longer(house, scp):
    peer = scp(called="OTHER")
    house.owe("pacs", small())
    house.drain(pacs(peer.port))
    health = house.health("pacs")
    assert health.reason is not None
    assert health.reason.startswith("rejected_called")
    assert health.probe_in_ms is not None
    assert health.probe_in_ms > 200_000


def test_a_peer_out_of_resources_is_down_until_it_takes_something(house, scp):
    peer = scp()
    big, *_ = house.owe("pacs", *(small() for _ in range(4)))
    peer.script[big] = 0xA700
    house.drain(pacs(peer.port))
    assert not house.health("pacs").up
    house.make_all_due()
    house.drain(pacs(peer.port))  # the others pass, so the one that is refused is charged
    assert house.states() == {"waiting": 1, "delivered": 3}
    assert house.rows()[big].attempts == 1
    assert house.health("pacs").up


def test_a_hanging_peer_gives_up_its_object_by_the_time_out(house, scp):
    peer = scp()
    peer.script["*"] = "hang"
    house.owe("pacs", *(small() for _ in range(3)))
    house.drain(pacs(peer.port, timeouts={"dimse": 0.2}))
    health = house.health("pacs")
    assert (health.up, health.reason) == (False, "timeout_dimse")
    assert {row.attempts for row in house.rows().values()} == {0}
    assert house.slots_taken() == 0


def test_a_hanging_destination_does_not_delay_another(house, scp):
    hanging, live = scp(), scp()
    hanging.script["*"] = "hang"
    house.owe("stuck", small())
    house.owe("pacs", *(small() for _ in range(20)))
    stuck = pacs(hanging.port, "stuck", timeouts={"dimse": 20})
    thread = threading.Thread(target=house.drain, args=(stuck,))
    thread.start()
    assert house.drain(pacs(live.port)).delivered == 20
    assert thread.is_alive()
    hanging.unblock.set()
    thread.join()


def test_a_peer_that_takes_one_association_is_not_down_for_refusing_the_second(house, scp):
    peer = scp(most=1)
    peer.script["*"] = "hang"
    destination = pacs(peer.port, timeouts={"dimse": 20})
    house.owe("pacs", small())
    thread = threading.Thread(target=house.drain, args=(destination,))
    thread.start()
    wait_until(lambda: peer.associations == 1, "the first association")
    house.owe("pacs", small())
    second = house.drain(destination)
    assert (second.delivered, second.left_due) == (0, False)
    assert house.health("pacs").up
    peer.script.clear()
    peer.unblock.set()
    thread.join()


def test_an_object_in_a_syntax_the_peer_refuses_is_held(house, scp):
    peer = scp()
    (uid,) = house.owe("pacs", small(), syntax=JPEG, encoded=encode(small(), ELE))
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 1, "no_transfer_syntax_accepted")


def test_a_class_the_peer_does_not_take_is_held_and_the_others_pass(house, scp):
    peer = scp({CT: [ELE, ILE]})
    (mr,) = house.owe("pacs", small(MR))
    house.owe("pacs", small())
    house.drain(pacs(peer.port))
    assert house.rows()[mr] == Row("held", 1, "sop_class_not_accepted")
    assert house.states() == {"held": 1, "delivered": 1}


class BrokenStore:
    """A store with a bug for one object."""

    def __init__(self, store, object_id):
        self.store, self.object_id = store, object_id

    def open(self, object_id):
        if object_id == self.object_id:
            raise RuntimeError("a bug")
        return self.store.open(object_id)


def test_a_bug_that_one_object_runs_into_does_not_stop_the_others(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(5)))
    ((object_id,),) = house.query("SELECT id FROM objects WHERE sop_instance_uid = :u", u=uids[0])
    house.store = BrokenStore(house.store, object_id)
    house.drain(pacs(peer.port))
    assert sorted(peer.arrived) == sorted(uids[1:])
    assert house.rows()[uids[0]] == Row("waiting", 1, "internal_error")


def test_an_object_whose_file_is_gone_is_held_and_the_others_pass(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(3)))
    ((object_id,),) = house.query("SELECT id FROM objects WHERE sop_instance_uid = :u", u=uids[1])
    house.store.delete([object_id])
    house.drain(pacs(peer.port))
    assert house.rows()[uids[1]] == Row("held", 1, "payload_missing")
    assert house.states() == {"held": 1, "delivered": 2}


def test_a_shortened_file_is_never_sent(house, scp):
    peer = scp()
    (uid,) = house.owe("pacs", small())
    ((object_id,),) = house.query("SELECT id FROM objects")
    path = house.store.path_of(object_id)
    path.write_bytes(path.read_bytes()[:-2])
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 1, "payload_damaged")
    assert peer.arrived == []


def test_damage_is_found_when_a_first_attempt_was_not_understood(house, scp):
    peer = scp()
    (uid,) = house.owe("pacs", small())
    peer.script["*"] = 0xC000
    house.drain(pacs(peer.port))
    ((object_id,),) = house.query("SELECT id FROM objects")
    path = house.store.path_of(object_id)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    house.make_all_due()
    house.drain(pacs(peer.port))
    assert house.rows()[uid] == Row("held", 2, "payload_damaged")


def test_a_peer_that_does_not_speak_tls_is_down(house, scp):
    peer = scp()
    (uid,) = house.owe("pacs", small())
    house.drain(pacs(peer.port, tls={}))
    health = house.health("pacs")
    assert not health.up
    assert health.reason is not None
    assert health.reason.startswith("tls_")
    assert house.rows()[uid].attempts == 0


@pytest.mark.parametrize("another_at_work", [True, False])
def test_a_peer_that_serves_one_association_at_a_time_is_not_down(house, another_at_work):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never answers
        destination = pacs(silent.getsockname()[1], timeouts={"acse": 0.3})
        if another_at_work:
            key = (destination.name, destination.dicom)
            keep = Keep(window=2, idle=30, reuse=100)
            house.pool.borrow(key, keep, lambda line: False)
            house.pool.opened(key)
        (uid,) = house.owe("pacs", small())
        house.drain(destination)
    assert house.rows()[uid].attempts == 0
    assert house.health("pacs").up == another_at_work

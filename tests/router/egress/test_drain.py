"""Draining a destination: what goes out on which association, and what is recorded."""

import threading
import time

from pynetdicom.sop_class import _STORAGE_CLASSES

from router.egress.drain import Timing
from router.egress.tenure import FIRST_BATCH
from router.ledger import deliveries, destinations
from tests.programs import wait_until
from tests.router.egress.surroundings import CT, ELE, MR, encode, pacs, small


def test_what_is_owed_arrives_byte_for_byte_and_is_recorded(house, scp):
    peer = scp()
    data_sets = [small() for _ in range(40)]
    uids = house.owe("pacs", *data_sets)
    result = house.drain(pacs(peer.port))
    assert (result.delivered, result.left_due) == (40, False)
    assert peer.arrived == uids
    assert all(peer.bytes_of[str(d.SOPInstanceUID)] == encode(d, ELE) for d in data_sets)
    assert house.states() == {"delivered": 40}
    assert house.slots_taken() == 0
    events = house.query("SELECT state, reason, status, attempts, worker FROM delivery_events")
    assert ("delivered", "stored", 0, 1, "test") in [tuple(event) for event in events]


def test_a_bell_for_nothing_opens_no_association(house, scp):
    peer = scp()
    assert house.drain(pacs(peer.port)).delivered == 0
    assert peer.associations == 0


def test_the_association_stays_open_for_the_next_drain_and_is_reaped_when_idle(house, scp):
    peer = scp()
    destination = pacs(peer.port, idle=30)
    for _ in range(3):
        house.owe("pacs", small())
        house.drain(destination)
    assert (len(peer.arrived), peer.associations) == (3, 1)
    assert repr(house.pool) == "<Pool: 1 idle, 0 lent>"
    assert house.pool.reap(time.monotonic() + 29) == 0
    assert house.pool.reap(time.monotonic() + 31) == 1
    assert peer.released.acquire(timeout=5)


def test_an_association_is_renewed_after_so_many_objects(house, scp):
    peer = scp()
    house.owe("pacs", *(small() for _ in range(10)))
    house.drain(pacs(peer.port, reuse=4))
    assert (len(peer.arrived), peer.associations) == (10, 3)


def test_a_kept_association_that_the_peer_closed_costs_nobody_anything(house, scp):
    peer = scp()
    destination = pacs(peer.port)
    house.owe("pacs", small())
    house.drain(destination)
    for association in peer.ae.active_associations:
        association.abort()
    house.owe("pacs", small())
    house.drain(destination)
    assert house.states() == {"delivered": 2}
    assert {row.attempts for row in house.rows().values()} == {1}


def test_a_kept_association_that_a_firewall_has_cut_costs_one_time_out(house, scp):
    peer = scp()
    destination = pacs(peer.port, timeouts={"dimse": 0.3})
    house.owe("pacs", small())
    house.drain(destination)
    (uid,) = house.owe("pacs", small())
    peer.script[uid] = "hang once"
    house.drain(destination)
    assert house.states() == {"delivered": 2}
    assert house.rows()[uid].attempts == 1
    assert house.health("pacs").up
    assert peer.associations == 2


def test_the_most_urgent_goes_first(house, scp):
    peer = scp()
    low = house.owe("pacs", small(), priority=3)
    stat = house.owe("pacs", small(), priority=0)
    house.drain(pacs(peer.port))
    assert peer.arrived == stat + low


def test_a_new_kind_of_object_gets_a_new_association_that_takes_both(house, scp):
    peer = scp()
    destination = pacs(peer.port, associations=1)
    for sop_class in (CT, MR, CT, MR):
        house.owe("pacs", small(sop_class))
        house.drain(destination)
    assert (len(peer.arrived), peer.associations) == (4, 2)


def test_more_kinds_than_one_association_can_propose(house, scp):
    classes = sorted(set(_STORAGE_CLASSES.values()))[:60]
    peer = scp({sop_class: [ELE] for sop_class in classes})
    house.owe("pacs", *(small(sop_class) for sop_class in classes))
    house.drain(pacs(peer.port))
    assert house.states() == {"delivered": 60}
    assert peer.associations <= 4


def test_no_more_drains_than_slots(house, scp):
    peer = scp()
    house.owe("pacs", small())
    with house.ledger.write() as connection:
        for n in range(2):
            destinations.take_slot(connection, "pacs", 2, f"other{n}", 60_000)
    assert house.drain(pacs(peer.port, associations=2)).delivered == 0
    assert house.states() == {"waiting": 1}


def test_a_held_destination_gets_nothing_and_asks_for_no_second_bell(house, scp):
    peer = scp()
    house.owe("pacs", small())
    with house.ledger.write() as connection:
        destinations.hold(connection, "pacs")
    result = house.drain(pacs(peer.port))
    assert (result.delivered, result.left_due) == (0, False)


def test_on_stop_the_object_in_hand_is_finished_and_the_rest_is_given_back(house, scp):
    peer = scp()
    house.owe("pacs", *(small() for _ in range(10)))
    house.drain(pacs(peer.port), stop=lambda: len(peer.arrived) >= 3)
    assert house.states() == {"delivered": 3, "waiting": 7}
    assert house.slots_taken() == 0
    assert {row.attempts for row in house.rows().values()} == {0, 1}


def test_a_drain_whose_time_is_up_asks_for_another(house, scp):
    peer = scp()
    house.owe("pacs", *(small() for _ in range(40)))
    result = house.drain(pacs(peer.port), timing=Timing(linger=0, longest=0))
    assert result.left_due
    assert house.states()["waiting"] > 0


def test_what_comes_in_while_a_drain_lingers_goes_on_the_same_association(house, scp):
    peer = scp()
    house.owe("pacs", small())
    stopped = threading.Event()
    thread = threading.Thread(
        target=house.drain,
        args=(pacs(peer.port),),
        kwargs={"timing": Timing(linger=20), "stop": stopped.is_set},
    )
    thread.start()
    wait_until(lambda: len(peer.arrived) == 1, "the first object")
    house.owe("pacs", small())
    wait_until(lambda: len(peer.arrived) == 2, "the second object")
    stopped.set()
    thread.join()
    assert house.states() == {"delivered": 2}
    assert peer.associations == 1


def test_who_waits_for_more_is_woken_and_calls_another_when_much_has_come(house, scp):
    peer = scp()
    house.owe("pacs", small())
    stopped, called = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=house.drain,
        args=(pacs(peer.port),),
        kwargs={
            "timing": Timing(linger=60, step=60),
            "stop": stopped.is_set,
            "more": called.set,
        },
    )
    thread.start()
    bell = house.pool.memory("pacs").bell
    wait_until(lambda: bool(bell._waiting), "the drain to wait")
    house.owe("pacs", small())
    assert bell.ring()
    wait_until(lambda: len(peer.arrived) == 2, "the second object")
    assert not called.is_set()
    wait_until(lambda: bool(bell._waiting), "the drain to wait again")
    house.owe("pacs", *(small() for _ in range(FIRST_BATCH)))
    assert bell.ring()
    wait_until(lambda: len(peer.arrived) == 2 + FIRST_BATCH, "the others")
    assert called.is_set()
    stopped.set()
    bell.ring()
    thread.join()
    assert house.states() == {"delivered": 2 + FIRST_BATCH}


def test_a_lost_lease_is_not_recorded_over_and_ends_the_drain(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(3)))

    def steal() -> bool:
        if len(peer.arrived) == 1:
            with house.ledger.write() as connection:
                connection.exec_driver_sql("UPDATE deliveries SET lease_owner = 'thief'")
        return len(peer.arrived) >= 2

    house.drain(pacs(peer.port), stop=steal)
    assert house.rows()[uids[0]].state == "leased"
    assert house.states() == {"leased": 3}


def test_a_slow_object_does_not_keep_others_outcomes_from_the_ledger(house, scp):
    peer = scp()
    first, second = house.owe("pacs", small(), small())
    peer.script[second] = "hang"
    thread = threading.Thread(target=house.drain, args=(pacs(peer.port, timeouts={"dimse": 20}),))
    thread.start()
    wait_until(lambda: house.rows()[first].state == "delivered", "the first outcome")
    assert house.rows()[second].state == "leased"
    peer.unblock.set()
    thread.join()


def test_leases_that_ran_out_are_taken_up_by_the_next_drain(house, scp):
    peer = scp()
    house.owe("pacs", *(small() for _ in range(3)))
    with house.ledger.write() as connection:
        deliveries.lease_due(connection, "pacs", owner="dead", limit=2, lease_ms=-1)
    with house.ledger.write() as connection:
        assert deliveries.expire_leases(connection) == ["pacs"]
    assert house.drain(pacs(peer.port)).delivered == 3


def test_several_drains_share_the_work_and_keep_to_the_window(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(60)))
    destination = pacs(peer.port, associations=2)
    threads = [threading.Thread(target=house.drain, args=(destination,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(peer.arrived) == sorted(uids)
    assert peer.associations <= 2
    assert house.states() == {"delivered": 60}


def test_a_destination_that_is_held_meanwhile_ends_the_drain(house, scp):
    peer = scp()
    house.owe("pacs", small())
    thread = threading.Thread(
        target=house.drain, args=(pacs(peer.port),), kwargs={"timing": Timing(linger=60)}
    )
    thread.start()
    wait_until(lambda: house.states() == {"delivered": 1}, "the first object")
    with house.ledger.write() as connection:
        destinations.hold(connection, "pacs")
    house.owe("pacs", small())
    thread.join(10)
    assert not thread.is_alive()
    assert house.states() == {"delivered": 1, "waiting": 1}
    assert house.slots_taken() == 0

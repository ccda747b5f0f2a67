"""What a drain holds in the ledger: taken, renewed, lost, given back."""

import pytest

from router.egress.tenure import Tenure
from router.ledger import destinations
from tests.router.egress.surroundings import pacs, small

DESTINATION = pacs(104, associations=1)


@pytest.fixture
def tenure(house):
    house.owe("pacs", *(small() for _ in range(3)))
    return Tenure(DESTINATION, house.ledger, "me", lambda: 0.5)


def begin(house, tenure):
    with house.ledger.write() as connection:
        return tenure.begin(connection)


def test_a_slot_and_a_batch_are_taken_together(house, tenure):
    assert len(begin(house, tenure)) == 3
    assert house.slots_taken() == 1
    other = Tenure(DESTINATION, house.ledger, "other", lambda: 0.5)
    assert begin(house, other) is None


def test_renewal_keeps_leases_and_slot(house, tenure):
    begin(house, tenure)
    with house.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET lease_until = 1")
        connection.exec_driver_sql("UPDATE destination_slots SET lease_until = 1")
    assert tenure.renew()
    assert house.query("SELECT min(lease_until) FROM deliveries")[0][0] > 1
    assert house.query("SELECT min(lease_until) FROM destination_slots")[0][0] > 1


def test_what_was_tried_is_not_renewed(house, tenure):
    first, *_ = begin(house, tenure)
    tenure.tried(first.id)
    with house.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET lease_until = 1")
    tenure.renew()
    assert house.query("SELECT id FROM deliveries WHERE lease_until = 1") == [(first.id,)]


def test_a_slot_that_another_took_is_noticed(house, tenure):
    begin(house, tenure)
    with house.ledger.write() as connection:
        connection.exec_driver_sql("UPDATE destination_slots SET owner = 'thief'")
    assert not tenure.renew()


def test_after_a_failure_of_our_own_all_is_given_back(house, tenure):
    begin(house, tenure)
    tenure.abandon()
    assert house.states() == {"waiting": 3}
    assert house.slots_taken() == 0


def test_only_one_probes_and_a_probe_without_answer_is_the_next_drains(house, tenure):
    with house.ledger.write() as connection:
        destinations.mark_down(connection, "pacs", "connect_refused", 0)
    wide = pacs(104, associations=2)
    prober = Tenure(wide, house.ledger, "prober", lambda: 0.5)
    other = Tenure(wide, house.ledger, "other", lambda: 0.5)
    begin(house, prober)
    assert prober.probing
    assert begin(house, other) is None
    prober.abandon()
    assert house.health("pacs").probe_due
    assert house.health("pacs").reason == "connect_refused"
    assert len(begin(house, other)) == 3

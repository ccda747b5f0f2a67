"""Draining a destination: what arrives, what is charged to whom, what is given back."""

from tests.router.egress.surroundings import ELE, encode, pacs, small


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
    assert ("delivered", "stored", 0, 1, "test") in [tuple(e) for e in events]


def test_a_bell_for_nothing_opens_no_association(house, scp):
    peer = scp()
    assert house.drain(pacs(peer.port)).delivered == 0
    assert peer.associations == 0

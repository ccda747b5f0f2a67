"""Recording outcomes when the ledger is away for a while."""

from contextlib import contextmanager

import pytest

from router.egress.drain import Timing
from router.ledger import LedgerUnavailable
from tests.router.egress.surroundings import pacs, small


class Absent:
    """A ledger that cannot be written to for some time."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.away = False
        self.refused = 0
        self.returns_after = 10**9

    def read(self):
        return self.ledger.read()

    @contextmanager
    def write(self):
        if self.away:
            self.refused += 1
            self.away = self.refused < self.returns_after
            raise LedgerUnavailable("away")
        with self.ledger.write() as connection:
            yield connection


def test_outcomes_survive_a_ledger_that_comes_back(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(5)))
    house.ledger = absent = Absent(house.ledger)
    absent.returns_after = 3

    def stop() -> bool:
        if len(peer.arrived) == 4 and not absent.refused:
            absent.away = True
        return False

    house.drain(pacs(peer.port), stop=stop)
    assert absent.refused == 3
    assert house.states() == {"delivered": 5}
    assert peer.arrived == uids


def test_a_ledger_that_stays_away_ends_the_drain_and_nothing_is_lost(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(5)))
    ledger = house.ledger
    house.ledger = absent = Absent(ledger)

    def stop() -> bool:
        absent.away = absent.away or len(peer.arrived) == 2
        return False

    with pytest.raises(LedgerUnavailable):
        house.drain(pacs(peer.port), stop=stop, timing=Timing(linger=0, patience=0.3))
    assert repr(house.pool) == "<Pool: 1 idle, 0 lent>"
    house.ledger = ledger
    assert set(house.states()) <= {"leased", "delivered"}
    with ledger.write() as connection:  # as if the leases had run out
        connection.exec_driver_sql("UPDATE deliveries SET state = 'waiting' WHERE state = 'leased'")
        connection.exec_driver_sql("UPDATE destination_slots SET owner = NULL")
    house.drain(pacs(peer.port))
    assert house.states() == {"delivered": 5}
    assert set(peer.arrived) == set(uids)


def test_a_drain_that_failed_gives_back_what_it_has_once_the_ledger_is_there_again(house, scp):
    """Its leases would keep the destination waiting until they have run out."""
    peer = scp()
    house.owe("pacs", *(small() for _ in range(5)))
    ledger = house.ledger
    house.ledger = absent = Absent(ledger)
    absent.returns_after = 3

    def fail() -> bool:
        if peer.arrived and not absent.refused:
            absent.away = True
            raise LedgerUnavailable("away")
        return False

    with pytest.raises(LedgerUnavailable):
        house.drain(pacs(peer.port), stop=fail)
    assert absent.refused == 3
    house.ledger = ledger
    assert set(house.states()) <= {"waiting", "leased"}
    assert house.states()["waiting"] == 4
    assert house.slots_taken() == 0

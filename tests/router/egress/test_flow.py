"""What makes way for what, when a destination is sent to, and how fast."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from router.config import Destination
from router.config_flow import Limits
from router.dicom.uids import VERIFICATION
from router.egress.drain import Timing
from router.egress.pace import Pace, throttle
from router.ledger import deliveries, destinations
from tests.programs import free_port
from tests.router.egress.surroundings import CT, ELE, ILE, Scp, pacs, small


def with_terms(destination: Destination, **terms: Any) -> Destination:
    return Destination.model_validate(
        destination.model_dump(exclude_defaults=True, by_alias=True) | terms
    )


def hours(opens: float, closes: float) -> dict[str, str]:
    """A window from so many hours from now until so many."""
    now = datetime.now(UTC)
    ends = [(now + timedelta(hours=at)).strftime("%H:%M") for at in (opens, closes)]
    return {"from": ends[0], "to": ends[1], "zone": "UTC"}


def between(house, window: dict[str, str]) -> None:
    """As if the routes of all that is owed had this window."""
    with house.ledger.write() as connection:
        connection.execute(
            text("UPDATE deliveries SET send_between = :window"),
            {"window": f"{window['from']}-{window['to']} UTC"},
        )


class SlowScp(Scp):
    """Takes a tenth of a second for each object; calls `at_third` when the third has come."""

    at_third: Callable[[], object]

    def _store(self, event: Any) -> int:
        status = super()._store(event)
        if len(self.arrived) == 3:
            self.at_third()
        self.unblock.wait(0.1)
        return status


def test_an_urgent_object_overtakes_the_batch_in_hand(house):
    peer = SlowScp({CT: [ELE]})
    urgent = small()
    peer.at_third = lambda: house.owe("pacs", urgent, priority=0)
    house.owe("pacs", *(small() for _ in range(40)))
    result = house.drain(pacs(peer.port, associations=1))
    peer.stop()
    assert result.delivered == 41
    assert peer.arrived.index(str(urgent.SOPInstanceUID)) <= 7, "it waited for the batch in hand"
    assert len(set(peer.arrived)) == len(peer.arrived) == 41


def test_what_is_as_urgent_overtakes_nobody(house, scp):
    peer = scp()
    uids = house.owe("pacs", *(small() for _ in range(20)), priority=1)
    uids += house.owe("pacs", small(), priority=1)
    house.drain(pacs(peer.port, associations=1))
    assert peer.arrived == uids


def test_the_least_urgent_gets_its_share(house, scp):
    peer = scp()
    low = house.owe("pacs", *(small() for _ in range(4)), priority=3)
    stat = house.owe("pacs", *(small() for _ in range(100)), priority=0)
    house.drain(pacs(peer.port, associations=1))
    position = [peer.arrived.index(uid) for uid in low]
    assert position == sorted(position)
    assert position[0] == 0
    assert position[2] < 48, "it waited until nothing more urgent was left"
    assert sum(uid in set(low) for uid in peer.arrived[:48]) <= 3
    assert set(peer.arrived) == {*low, *stat}


def test_outside_of_its_schedule_a_destination_gets_nothing(house, scp):
    peer = scp()
    house.owe("pacs", *(small() for _ in range(3)))
    closed = with_terms(pacs(peer.port), schedule=[hours(2, 3)])
    assert house.drain(closed).left_due is False
    assert (peer.associations, house.states()) == (0, {"waiting": 3})
    assert house.slots_taken() == 0
    opened = with_terms(pacs(peer.port), schedule=[hours(2, 3), hours(-1, 1)])
    assert house.drain(opened).delivered == 3


def test_what_its_route_keeps_back_waits_and_the_rest_goes(house, scp):
    peer = scp()
    kept = house.owe("pacs", *(small() for _ in range(40)))
    between(house, hours(2, 3))
    free = house.owe("pacs", *(small() for _ in range(3)))
    assert house.drain(pacs(peer.port)).delivered == 3
    assert peer.arrived == free
    rows = house.rows()
    assert {rows[uid].reason for uid in kept} == {"outside_window"}
    with house.ledger.read() as connection:
        assert not deliveries.has_due(connection, "pacs")
    between(house, hours(-1, 1))
    house.make_all_due()
    assert house.drain(pacs(peer.port)).delivered == 40


def test_time_outside_of_windows_uses_up_no_patience(house, scp):
    peer = scp()
    peer.script["*"] = 0x0110
    (uid,) = house.owe("pacs", small())
    with house.ledger.write() as connection:
        connection.execute(text("UPDATE deliveries SET owed_since = owed_since - 10 * 3600000"))
    patient = {"give_up_after": "5h"}
    windowed = with_terms(pacs(peer.port, retry=patient), schedule=[hours(-1, 1)])
    house.drain(windowed)
    assert house.rows()[uid].state == "waiting"
    house.make_all_due()
    house.drain(pacs(peer.port, retry=patient))
    assert house.rows()[uid].state == "failed"


@pytest.mark.parametrize(
    ("limits", "count", "size", "seconds"),
    [
        ({"objects": 20}, 12, 1_000, 0.55),
        ({"bandwidth": 200_000}, 4, 40_000, 0.6),
        ({"bandwidth": 400_000}, 1, 300_000, 0.6),
    ],
    ids=["objects", "bandwidth", "within an object"],
)
def test_limits_hold_over_all_drains(house, scp, limits, count, size, seconds):
    peer = scp()
    uids = house.owe("pacs", *(small(EncapsulatedDocument=bytes(size)) for _ in range(count)))
    limited = with_terms(pacs(peer.port, associations=2), limits=limits)
    started = time.monotonic()
    drains = [
        threading.Thread(target=house.drain, args=(limited,), kwargs={"timing": Timing(linger=0.3)})
        for _ in range(2)
    ]
    for one in drains:
        one.start()
    for one in drains:
        one.join()
    took = time.monotonic() - started - 0.3
    assert sorted(peer.arrived) == sorted(uids)
    assert seconds * 0.9 <= took <= seconds + 1.5


def test_a_pace_without_limits_holds_nobody_up():
    pace = Pace(None)
    assert pace.fitting([]) == ([], [], 0)
    assert throttle(None) is None
    assert throttle(Limits(objects=5)) is None


@pytest.mark.parametrize("given", ["10KB", "2MB/m", 0, {}])
def test_limits_that_cannot_be_meant(given: object):
    with pytest.raises(ValueError, match=r".+"):
        Limits.model_validate(given if given == {} else {"bandwidth": given})


def test_a_dead_destination_without_work_is_asked_whether_it_is_back(house, scp):
    peer = scp({CT: [ELE], VERIFICATION: [ELE, ILE]})
    with house.ledger.write() as connection:
        destinations.mark_down(connection, "pacs", "connect_refused", 60_000)
    house.drain(pacs(peer.port))
    assert not house.health("pacs").up, "it is not time yet"
    house.make_all_due()
    with house.ledger.read() as connection:
        assert destinations.down_and_idle(connection) == ["pacs"]
    house.drain(pacs(free_port()))
    health = house.health("pacs")
    assert (health.up, health.failures, health.reason) == (False, 2, "connect_refused")
    house.make_all_due()
    house.drain(pacs(peer.port))
    assert house.health("pacs").up
    assert house.slots_taken() == 0

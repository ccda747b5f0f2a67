"""The egress task: which bells need no message."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from router.broker import Broker
from router.config import Destination
from router.egress.pool import Pool
from router.ledger import Ledger
from router.store import DirectoryStore
from router.tickets import EgressTicket
from tests.programs import wait_until
from tests.router.egress.surroundings import CT, ELE, House, Scp, pacs, small
from workers.egress import EgressTask

PACS = EgressTicket(destination="pacs")
LONG = 60.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.upgrade()
    made = House(ledger, DirectoryStore(tmp_path / "store"), Pool())
    yield made
    made.pool.close()
    ledger.dispose()


@pytest.fixture
def broker() -> Iterator[Broker]:
    made = Broker("memory://")
    purge(made)
    yield made
    purge(made)
    made.close()


def purge(broker: Broker) -> None:
    """What memory:// holds outlives a broker: other tests find it, and leave theirs."""
    for queue in broker.app.conf.task_queues:
        with broker.app.connection_for_write() as connection:
            queue(connection.default_channel).purge()


@pytest.fixture
def scp() -> Iterator[Scp]:
    made = Scp({CT: [ELE]})
    yield made
    made.stop()


def task_for(
    house: House, broker: Broker, port: int, others: Sequence[Destination] = (), most: int = 9
) -> EgressTask:
    destinations = [pacs(port, associations=1, timeouts={"dimse": 20}), *others]
    return EgressTask(
        destinations=destinations,
        ledger=house.ledger,
        store=house.store,
        pool=house.pool,
        broker=broker,
        worker="test",
        stop=lambda: False,
        most=most,
    )


def messages(broker: Broker) -> int:
    return sum(depth.tickets for depth in broker.depths())


def test_a_bell_that_nobody_hears_becomes_a_message(house: House, broker: Broker) -> None:
    task_for(house, broker, 104)
    assert not broker.told(PACS)
    assert not broker.published.is_set()
    broker.publish(PACS)
    assert broker.published.is_set(), "the consumer in this process would sleep on"
    broker.publish(EgressTicket(destination="unknown"))
    assert messages(broker) == 2


def test_a_drain_that_waits_for_more_hears_it_without_a_message(
    house: House, broker: Broker
) -> None:
    task_for(house, broker, 104)
    bell = house.pool.memory("pacs").bell
    waiting = threading.Thread(target=bell.wait, args=(LONG,), daemon=True)
    waiting.start()
    wait_until(lambda: bool(bell._waiting), "who waits")
    broker.publish(PACS)
    waiting.join(LONG)
    assert not waiting.is_alive()
    assert messages(broker) == 0


def test_while_all_are_at_work_a_bell_is_noted_and_rung_again_in_the_end(
    house: House, broker: Broker, scp: Scp
) -> None:
    [uid] = house.owe("pacs", small())
    scp.script[uid] = "hang once"
    task = task_for(house, broker, scp.port)
    at_work = threading.Thread(target=task, args=(PACS,))
    at_work.start()
    wait_until(lambda: scp.script[uid] == 0x0000, "the object at the peer")
    broker.publish(PACS)
    assert messages(broker) == 0
    scp.unblock.set()
    at_work.join()
    assert house.states() == {"delivered": 1}
    assert messages(broker) == 1


def test_no_more_are_at_work_than_may_be_and_who_ends_rings_for_the_others(
    house: House, broker: Broker, scp: Scp
) -> None:
    """The threads beyond are for routing, which must not wait for what hangs."""
    other = pacs(scp.port, name="other", associations=1)
    [uid] = house.owe("pacs", small())
    house.owe("other", small())
    scp.script[uid] = "hang once"
    task = task_for(house, broker, scp.port, [other], most=1)
    at_work = threading.Thread(target=task, args=(PACS,))
    at_work.start()
    wait_until(lambda: scp.script[uid] == 0x0000, "the object at the peer")
    task(EgressTicket(destination="other"))
    assert house.states() == {"leased": 1, "waiting": 1}
    assert messages(broker) == 0
    scp.unblock.set()
    at_work.join()
    assert messages(broker) == 1
    task(EgressTicket(destination="other"))
    assert house.states() == {"delivered": 2}

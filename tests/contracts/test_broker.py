"""What tickets may rely on, whichever broker carries them: in this process, or RabbitMQ."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from router.broker import (
    DEAD_QUEUE,
    Broker,
    BrokerUnavailable,
    egress_queue,
    egress_queues,
    routing_queue,
    routing_queues,
)
from router.tickets import EgressTicket, RoutingTicket
from tests.programs import free_port, wait_until
from tests.servers import RabbitMq, Servers, rabbitmq
from workers.app import Worker, register_egress, register_routing

IDS = ("0" * 32, "1" * 32)
PACS = EgressTicket(destination="pacs")
LANES = ("main", "far")

pytestmark = [
    pytest.mark.timeout(120),
    # Celery announces that a later version will cancel by default; we have decided.
    pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning"),
]


@pytest.fixture(scope="module")
def server(all_servers: Servers) -> Iterator[RabbitMq]:
    """The one of the run, or a node of our own where another is given: we make virtual hosts."""
    with ExitStack() as running:
        yield all_servers.rabbitmq or running.enter_context(rabbitmq())


@pytest.fixture(params=["memory", "rabbitmq"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    server: RabbitMq = request.getfixturevalue("server")
    return server.new_host()


@pytest.fixture
def broker(url: str) -> Iterator[Broker]:
    made = broker_at(url)
    yield made
    for queue in made.app.conf.task_queues:  # memory:// outlives the broker
        with made.app.connection_for_write() as connection:
            queue(connection.default_channel).purge()
    made.close()


@pytest.fixture
def rabbit(server: RabbitMq) -> Iterator[Broker]:
    """Where only RabbitMQ can do it."""
    made = broker_at(server.new_host())
    yield made
    made.close()


def broker_at(url: str) -> Broker:
    return Broker(url, lanes=LANES, lane_of={"island": "far", "lost": "gone"}.get)


@dataclass
class Taken:
    """The tickets that a worker took."""

    routing: list[RoutingTicket] = field(default_factory=list)
    egress: list[EgressTicket] = field(default_factory=list)
    meanwhile: Callable[[EgressTicket], object] = lambda _ticket: None

    def deliver(self, ticket: EgressTicket) -> None:
        self.egress.append(ticket)
        self.meanwhile(ticket)


@contextmanager
def worker(
    broker: Broker, taken: Taken, *, queues: tuple[str, ...] = (), concurrency: int = 1
) -> Iterator[Worker]:
    register_routing(broker, taken.routing.append)
    register_egress(broker, taken.deliver)
    found = Worker(
        broker,
        queues=queues or routing_queues() + egress_queues(LANES),
        concurrency=concurrency,
        name=f"test-{time.monotonic_ns()}",
    )
    found.start()
    wait_until(lambda: found.takes_tickets, "the worker")
    try:
        yield found
    finally:
        assert found.stop(30)


def waiting(broker: Broker) -> dict[str, int]:
    return {depth.queue: depth.tickets for depth in broker.depths() if depth.tickets}


def test_tickets_arrive_whole(broker: Broker) -> None:
    taken = Taken()
    routing = RoutingTicket(object_ids=IDS, urgency="stat")
    with worker(broker, taken):
        broker.publish(routing)
        broker.publish(PACS)
        wait_until(lambda: bool(taken.routing and taken.egress), "both tickets")
    assert taken.egress == [PACS]
    assert [ticket.object_ids for ticket in taken.routing] == [IDS]
    assert waiting(broker) == {}


def test_tickets_wait_for_who_takes_them(broker: Broker) -> None:
    for _ in range(5):
        broker.publish(PACS)
    wait_until(lambda: waiting(broker) == {egress_queue("main"): 5}, "five tickets")
    taken = Taken()
    with worker(broker, taken):
        wait_until(lambda: len(taken.egress) == 5, "all of them")


@pytest.mark.parametrize("urgency", ["stat", "high", "routine", "low"])
def test_each_urgency_has_a_queue(broker: Broker, urgency: str) -> None:
    broker.publish(RoutingTicket(object_ids=IDS, urgency=urgency))  # type: ignore[arg-type]
    assert waiting(broker) == {routing_queue(urgency): 1}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("destination", "lane"),
    [("island", "far"), ("pacs", "main"), ("lost", "main")],
)
def test_a_destination_is_rung_for_in_its_lane(broker: Broker, destination: str, lane: str) -> None:
    broker.publish(EgressTicket(destination=destination))
    assert waiting(broker) == {egress_queue(lane): 1}


def test_a_worker_takes_from_its_own_queues_alone(broker: Broker) -> None:
    taken = Taken()
    with worker(broker, taken, queues=egress_queues(["far"])):
        broker.publish(PACS)
        broker.publish(EgressTicket(destination="island"))
        wait_until(lambda: bool(taken.egress), "a ticket")
    assert [ticket.destination for ticket in taken.egress] == ["island"]
    assert waiting(broker) == {egress_queue("main"): 1}


def test_a_ticket_of_a_later_version_is_put_aside_with_the_reason(broker: Broker) -> None:
    taken = Taken()
    with worker(broker, taken):
        broker.app.send_task(
            "dicom-router.egress",
            args=({"version": 99, "destination": "pacs"},),
            queue=egress_queue("main"),
        )
        wait_until(lambda: waiting(broker) == {DEAD_QUEUE: 1}, "the dead ticket")
    assert taken.egress == []
    (dead,) = broker.dead(limit=10, drop=False)
    assert dead.reason == "egress: ticket version 99; this worker understands 1"
    assert '"version": 99' in dead.body
    assert broker.dead(limit=10, drop=True) == [dead], "looking at it took it away"
    assert broker.dead(limit=10, drop=True) == []


def test_an_unknown_task_is_put_aside_with_the_reason(broker: Broker) -> None:
    with worker(broker, Taken()):
        broker.app.send_task("somebody.elses", args=(), queue=egress_queue("main"))
        wait_until(lambda: waiting(broker) == {DEAD_QUEUE: 1}, "the dead ticket")
    (dead,) = broker.dead(limit=10, drop=True)
    assert dead.reason == "unknown task somebody.elses"


def test_what_is_no_message_of_ours_is_put_aside(broker: Broker) -> None:
    with worker(broker, Taken()):
        with broker.app.producer_or_acquire() as producer:
            where = {"exchange": "dicom-router", "routing_key": egress_queue("main")}
            producer.publish(b"\xff\x00", content_type="application/x-unknown", **where)
            producer.publish({"hello": "there"}, serializer="json", **where)
        wait_until(lambda: waiting(broker) == {DEAD_QUEUE: 2}, "the dead messages")
    reasons = {dead.reason for dead in broker.dead(limit=10, drop=True)}
    assert reasons == {"not readable: ContentDisallowed", "not a task message"}


def test_a_task_that_fails_is_done_with(broker: Broker) -> None:
    """What is owed stands in the ledger: the same ticket again would only fail again."""

    def fail(_ticket: EgressTicket) -> None:
        raise ValueError("nobody foresaw this")

    taken = Taken(meanwhile=fail)
    with worker(broker, taken):
        broker.publish(PACS)
        broker.publish(PACS)
        wait_until(lambda: len(taken.egress) == 2, "both tickets")
    assert waiting(broker) == {}


def test_many_threads_publish_at_once(broker: Broker) -> None:

    def ring() -> None:
        for _ in range(20):
            broker.publish(PACS)

    threads = [threading.Thread(target=ring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: waiting(broker) == {egress_queue("main"): 80}, "80 tickets")


def test_a_worker_holds_no_more_tickets_than_it_has_threads(rabbit: Broker) -> None:
    go = threading.Event()
    taken = Taken(meanwhile=lambda _ticket: go.wait(60))
    for _ in range(10):
        rabbit.publish(PACS)
    with worker(rabbit, taken, concurrency=2):
        wait_until(lambda: len(taken.egress) == 2, "two at work")
        assert waiting(rabbit) == {egress_queue("main"): 8}
        go.set()
        wait_until(lambda: len(taken.egress) == 10, "all of them")


def test_a_ticket_that_no_queue_takes_is_an_error(rabbit: Broker, server: RabbitMq) -> None:
    rabbit.publish(PACS)
    host = rabbit.app.conf.broker_url.rpartition("/")[2]
    server.control("delete_queue", "-p", host, egress_queue("main"))
    rabbit.publish(PACS)  # it tries again on a new connection, which declares the queue
    assert waiting(rabbit) == {egress_queue("main"): 1}
    # Without the queue's binding nothing helps, and that must be heard.
    with rabbit.app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.queue_unbind(egress_queue("far"), "dicom-router", egress_queue("far"))
    publisher = broker_at(rabbit.app.conf.broker_url)
    publisher._publisher._queues = list
    with pytest.raises(BrokerUnavailable, match="NO_ROUTE"):
        publisher.publish(EgressTicket(destination="island"))
    publisher.close()


def test_a_broker_that_is_away_is_told_at_once_and_found_again() -> None:
    gone = broker_at(f"amqp://guest:hush@127.0.0.1:{free_port()}//")
    began = time.monotonic()
    for _ in range(50):
        with pytest.raises(BrokerUnavailable) as caught:
            gone.publish(PACS)
        assert "hush" not in str(caught.value)
    assert time.monotonic() - began < 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Celery's sockets
def test_a_broker_that_was_killed_keeps_its_tickets() -> None:
    """A node of its own: it is killed while a worker is at work and a publisher connected."""
    with rabbitmq() as server:
        broker, taken = broker_at(server.url), Taken()
        broker.publish(PACS)
        broker.publish(EgressTicket(destination="island"))
        with worker(broker, taken, queues=egress_queues(["far"])):
            wait_until(lambda: len(taken.egress) == 1, "the ticket for the island")
            server.kill()
            with pytest.raises(BrokerUnavailable):
                broker.publish(EgressTicket(destination="island"))
            server.start()

            def published() -> bool:
                try:
                    broker.publish(EgressTicket(destination="island"))
                except BrokerUnavailable:
                    return False
                return True

            wait_until(published, "the broker to be back")
            wait_until(lambda: len(taken.egress) == 2, "a ticket after the break", 60)
        assert waiting(broker) == {egress_queue("main"): 1}, "what lay there was lost"
        broker.close()

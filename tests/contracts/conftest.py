"""The engines and adapters on which the contract suites run."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from sqlalchemy.engine import URL

from router.ledger import (
    DeliveryOutcome,
    DeliveryState,
    LeasedDelivery,
    Ledger,
    NewDelivery,
    ObjectState,
    ReceivedObject,
    RoutingResult,
    StoredObject,
    deliveries,
    objects,
    queries,
)
from router.ledger.queries import Trace, TraceBy
from router.store import new_object_id
from tests import servers
from tests.servers import PostgreSql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """One server for the whole run."""
    with servers.postgresql() as server:
        yield server


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSql]:
    """A server that the test may stop and start."""
    with servers.postgresql() as server:
        yield server


def upgraded(url: URL) -> URL:
    """The same place, with all tables made."""
    ledger = Ledger(url)
    ledger.upgrade()
    ledger.dispose()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger file with all its tables: copying it is quicker than migrating."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    upgraded(make_url(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql: PostgreSql) -> str:
    """The name of a database with all its tables."""
    return str(upgraded(postgresql.new_database()).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Every database that a ledger can be kept in."""
    return str(request.param)


@pytest.fixture
def empty_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Where a ledger may be made."""
    if engine_name == "sqlite":
        return make_url(f"sqlite:///{tmp_path}/empty.db")
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def ledger(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with all its tables and nothing in them."""
    if engine_name == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "ledger.db")
        made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    else:
        server: PostgreSql = request.getfixturevalue("postgresql")
        made = Ledger(server.new_database(request.getfixturevalue("postgresql_template")))
    yield made
    made.dispose()


CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


class Story:
    """Says in a line what must have happened before a test begins."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def received(self, **changes: Any) -> ReceivedObject:
        """An object that nobody has recorded yet."""
        object_id = changes.pop("id", None) or new_object_id()
        row = ReceivedObject(
            id=object_id,
            received_at=1_700_000_000_000,
            listener="main",
            association_id="association-1",
            peer_address="10.1.0.7",
            calling_ae_title="CT01",
            called_ae_title="ROUTER",
            tls_subject=None,
            sop_class_uid=CT_IMAGE_STORAGE,
            sop_instance_uid=f"2.25.{int(object_id, 16)}",
            transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
            size=1000,
            data_set_offset=500,
            checksum="c0ffee" * 5 + "00",
        )
        return row._replace(**changes)

    def receive(self, count: int = 1, **changes: Any) -> list[str]:
        """Objects that came in; their ids."""
        rows = [self.received(**changes) for _ in range(count)]
        with self.ledger.write() as conn:
            objects.insert_received(conn, rows)
        return [row.id for row in rows]

    def route(self, object_id: str, *destinations: str, **changes: Any) -> RoutingResult:
        """A verdict: this object to these destinations, unedited."""
        priority = changes.pop("priority", 2)
        result = RoutingResult(
            object_id=object_id,
            state=ObjectState.ROUTED,
            rules_version="v1",
            deliveries=tuple(
                NewDelivery(destination=name, route="all", payload_id=object_id, priority=priority)
                for name in destinations
            ),
        )
        return replace(result, **changes)

    def record(self, *results: RoutingResult) -> set[str]:
        with self.ledger.write() as conn:
            return objects.record_routing(conn, results)

    def owe(self, *destinations: str, count: int = 1, **changes: Any) -> list[str]:
        """Objects that came in and are owed to these destinations; their ids."""
        ids = self.receive(count)
        self.record(*(self.route(object_id, *destinations, **changes) for object_id in ids))
        return ids

    def lease(
        self, destination: str, owner: str = "worker", limit: int = 50, lease_ms: int = 60_000
    ) -> list[LeasedDelivery]:
        with self.ledger.write() as conn:
            return deliveries.lease_due(
                conn, destination, owner=owner, limit=limit, lease_ms=lease_ms
            )

    def end(
        self,
        leased: Sequence[LeasedDelivery],
        state: DeliveryState = DeliveryState.DELIVERED,
        owner: str = "worker",
        **changes: Any,
    ) -> int:
        """All of these ended like this."""
        outcomes = [
            DeliveryOutcome(delivery_id=one.id, attempts=one.attempts + 1, state=state)._replace(
                **changes
            )
            for one in leased
        ]
        with self.ledger.write() as conn:
            return deliveries.record_outcomes(conn, owner, outcomes)

    def stored(self, object_id: str) -> StoredObject:
        with self.ledger.read() as conn:
            (found,) = objects.by_ids(conn, [object_id])
            return found

    def told(self, object_id: str) -> Trace:
        """Everything that is known about an object."""
        with self.ledger.read() as conn:
            (found,) = queries.trace(conn, object_id, TraceBy.OBJECT_ID)
            return found

    def state_of(self, object_id: str, destination: str) -> DeliveryState:
        found = {one.delivery.destination: one for one in self.told(object_id).deliveries}
        return found[destination].delivery.state


@pytest.fixture
def story(ledger: Ledger) -> Story:
    return Story(ledger)

"""Every journey is made twice: in one process on SQLite, and in a cluster of one process for each
role on PostgreSQL and RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.router_under_test import CLUSTER, Cluster
from tests.servers import Servers


@pytest.fixture(autouse=True, params=["one process", "cluster"])
def deployment(request: pytest.FixtureRequest) -> Iterator[None]:
    cluster = None
    if request.param == "cluster":
        found: Servers = request.getfixturevalue("all_servers")
        cluster = Cluster(ledger=found.ledger, broker=found.broker)
    token = CLUSTER.set(cluster)
    yield
    CLUSTER.reset(token)

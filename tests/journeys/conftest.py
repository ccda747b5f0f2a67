"""Every journey is made twice: in one process on SQLite, and in a cluster of one process for each
role on PostgreSQL and RabbitMQ, with the objects in a bucket of an S3 server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from router.store import new_object_id
from tests.certificates import Certificates
from tests.faults.router_under_test import CLUSTER, Cluster
from tests.s3_server import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, S3Server
from tests.servers import Servers

SERVERS = ("all_servers", "server_certificates", "s3_server")


def cluster_on(servers: Servers, certificates: Certificates, s3_server: S3Server) -> Cluster:
    """Queues, a database and a prefix of its own for each site. To servers of ours its processes
    speak TLS, and trust nobody else."""
    rabbitmq, postgresql = servers.rabbitmq, servers.postgresql

    def broker() -> str:
        return servers.broker() if rabbitmq is None else rabbitmq.encrypted(servers.broker())

    def ledger() -> str:
        verified = f"?sslmode=verify-full&sslrootcert={certificates.ca}"
        return servers.ledger() if postgresql is None else servers.ledger() + verified

    def settings() -> dict[str, object]:
        s3 = {
            "endpoint": s3_server.endpoint,
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
        }
        tls = {} if rabbitmq is None else {"broker_tls": {"ca": str(certificates.ca)}}
        return {"store": f"s3://{BUCKET}/{new_object_id()}", "s3": s3, **tls}

    return Cluster(ledger=ledger, broker=broker, settings=settings)


@pytest.fixture(autouse=True, params=["one process", "cluster"])
def deployment(request: pytest.FixtureRequest) -> Iterator[None]:
    cluster = None
    if request.param == "cluster":
        cluster = cluster_on(*map(request.getfixturevalue, SERVERS))
    token = CLUSTER.set(cluster)
    yield
    CLUSTER.reset(token)

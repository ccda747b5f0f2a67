"""Servers that tests of several areas talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.certificates import Certificates, make_certificates
from tests.s3_server import Proxy, S3Server, running_server
from tests.servers import Servers, servers

# How long an example takes is the machine's business, and no test's.
settings.register_profile("any machine", parent=settings.default, deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def server_certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """What `all_servers` speak TLS with, and who trusts them."""
    return make_certificates(tmp_path_factory.mktemp("server-certificates"))


@pytest.fixture(scope="session")
def all_servers(server_certificates: Certificates) -> Iterator[Servers]:
    """A RabbitMQ and a PostgreSQL for the whole run, by TLS if one likes: a test has its own
    queues and database."""
    with servers(server_certificates) as running:
        yield running


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for the whole run: a test keeps to a prefix of its own."""
    with running_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def own_s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """A server that the test may kill and start again."""
    folder = tmp_path / "s3-server"
    folder.mkdir()
    with running_server(folder) as server:
        yield server


@pytest.fixture
def s3_proxy(s3_server: S3Server) -> Iterator[Proxy]:
    """The server behind a proxy that misbehaves on demand."""
    proxy = Proxy(s3_server.port)
    yield proxy
    proxy.close()

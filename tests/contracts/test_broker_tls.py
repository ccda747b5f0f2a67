"""A broker reached by `amqps://`: whom we trust, who we are, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.broker import Broker, BrokerUnavailable
from router.config_tls import ClientTls
from router.net.errors import TlsFailed
from router.tickets import EgressTicket
from tests.certificates import Certificates, protect
from tests.contracts.test_broker import LANES, Taken, worker
from tests.programs import wait_until
from tests.servers import RabbitMq, rabbitmq

PACS = EgressTicket(destination="pacs")

pytestmark = [
    pytest.mark.timeout(120),
    # Celery announces that a later version will cancel by default; we have decided.
    pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning"),
]


@pytest.fixture(scope="module")
def server(server_certificates: Certificates) -> Iterator[RabbitMq]:
    with rabbitmq(server_certificates) as running:
        yield running


@pytest.fixture
def url(server: RabbitMq) -> str:
    return server.encrypted(server.new_host())


@pytest.fixture
def ours(server_certificates: Certificates) -> ClientTls:
    """The authority that signed the server's certificate."""
    return ClientTls(ca=server_certificates.ca)


def refusal(url: str, tls: ClientTls) -> str:
    """Why no ticket can be published there."""
    broker = Broker(url, tls=tls)
    with pytest.raises(BrokerUnavailable) as caught:
        broker.publish(PACS)
    broker.close()
    return str(caught.value)


def test_tickets_are_published_and_taken(server: RabbitMq, url: str, ours: ClientTls) -> None:
    broker, taken = Broker(url, lanes=LANES, tls=ours), Taken()
    with worker(broker, taken):
        broker.publish(PACS)
        wait_until(lambda: taken.egress == [PACS], "the ticket")
    assert broker.depths()
    told = server.control("list_connections", "ssl", "--no-table-headers").split()
    broker.close()
    assert told
    assert set(told) == {"true"}


def test_we_show_our_certificate_whose_key_has_a_pass_phrase(
    server: RabbitMq, url: str, server_certificates: Certificates, tmp_path: Path
) -> None:
    protect(server_certificates.client_key, tmp_path / "our.key", "open sesame")
    files = {"cert": server_certificates.client, "key": tmp_path / "our.key"}
    tls = ClientTls(ca=server_certificates.ca, **files, key_password="open sesame")
    broker = Broker(url, tls=tls)
    broker.publish(PACS)
    told = server.control("list_connections", "peer_cert_subject", "--no-table-headers")
    broker.close()
    assert "CN=ct01,O=Hospital" in told
    with pytest.raises(TlsFailed, match="certificate and key in"):
        Broker(url, tls=tls.model_copy(update={"key_password": "wrong"}))


def test_every_host_is_checked_by_its_own_name(url: str, ours: ClientTls) -> None:
    nobody = "amqps://guest:guest@nobody.invalid/x"
    broker = Broker(f"{nobody};{url}", tls=ours)
    broker.publish(PACS)
    broker.close()


def test_another_authority_is_not_trusted(url: str, server_certificates: Certificates) -> None:
    told = refusal(url, ClientTls(ca=server_certificates.other_ca))
    assert "certificate not accepted: self-signed certificate in certificate chain" in told
    assert "guest" not in told


def test_the_systems_authorities_are_asked_where_none_is_named(url: str) -> None:
    assert "certificate not accepted" in refusal(url, ClientTls())


def test_the_certificate_of_another_host_is_not_trusted(
    server: RabbitMq, url: str, ours: ClientTls, server_certificates: Certificates
) -> None:
    server.show(server_certificates.elsewhere)
    try:
        told = refusal(url, ours)
    finally:
        server.show(server_certificates.server)
    assert "certificate not accepted: IP address mismatch" in told
    assert f"127.0.0.1:{server.tls_port}" in told


def test_a_certificate_that_has_expired_is_not_trusted(
    server: RabbitMq, url: str, ours: ClientTls, server_certificates: Certificates
) -> None:
    server.show(server_certificates.expired)
    try:
        told = refusal(url, ours)
    finally:
        server.show(server_certificates.server)
    assert "certificate not accepted: certificate has expired" in told


def test_a_certificate_of_ours_that_the_broker_does_not_trust(
    url: str, ours: ClientTls, server_certificates: Certificates
) -> None:
    stranger = server_certificates.other_ca, server_certificates.other_ca.with_suffix(".key")
    tls = ours.model_copy(update={"cert": stranger[0], "key": stranger[1]})
    told = refusal(url, tls)
    # It says so after the handshake, and is gone: whether we still hear it is a matter of luck.
    assert "alert bad certificate" in told or "EOF" in told or "reset" in told


def test_a_broker_that_speaks_no_tls(server: RabbitMq, ours: ClientTls) -> None:
    assert "no TLS session" in refusal(server.url.replace("amqp:", "amqps:"), ours)

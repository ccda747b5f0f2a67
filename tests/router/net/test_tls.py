"""TLS both ways: who is trusted, who is refused, and what is said about it."""

import os
import select
import socket
import ssl
import threading
from pathlib import Path

import pytest

from router.net.errors import NetError, TimedOut, TlsFailed
from router.net.requestor import FileSlice, OutgoingAssociation, Timeouts, open_association
from router.net.tls import client_context, server_context, subject_of
from router.net.wire import TlsWire
from tests.certificates import Certificates
from tests.router.net.material import CT, Listen, Shelf, a_request, tcp_pair


@pytest.fixture
def server(certificates: Certificates) -> ssl.SSLContext:
    return server_context(cert=certificates.server, key=certificates.server_key)


@pytest.fixture
def strict_server(certificates: Certificates) -> ssl.SSLContext:
    return server_context(
        cert=certificates.server,
        key=certificates.server_key,
        ca=certificates.ca,
        client="require",
    )


@pytest.fixture
def client(certificates: Certificates) -> ssl.SSLContext:
    return client_context(ca=certificates.ca, cert=certificates.client, key=certificates.client_key)


@pytest.fixture
def anonymous(certificates: Certificates) -> ssl.SSLContext:
    return client_context(ca=certificates.ca)


def connect(
    port: int, tls: ssl.SSLContext | None, *, server_name: str | None = None
) -> OutgoingAssociation:
    return open_association(
        "127.0.0.1",
        port,
        a_request(),
        tls=tls,
        server_name=server_name,
        timeouts=Timeouts(connect=5, acse=5, dimse=5),
    )


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_objects_arrive_byte_for_byte(listen: Listen, shelf, server, anonymous, tmp_path, version):
    anonymous.maximum_version = ssl.TLSVersion[version]
    data = os.urandom(3_000_000)
    (tmp_path / "object").write_bytes(data)
    fd = os.open(tmp_path / "object", os.O_RDONLY)
    with connect(listen(tls=server).port, anonymous) as association:
        assert association.alive()
        for source in (FileSlice(fd, 0, len(data)), (data[:10], FileSlice(fd, 10, 2_999_990)), b""):
            association.store(1, sop_class_uid=CT, sop_instance_uid="1.2", data=source)
        assert association.alive()
    os.close(fd)
    assert shelf.data == [data, data, b""]
    assert shelf.objects[0].peer.tls_subject is None


def test_a_client_certificate_names_the_peer(listen: Listen, shelf: Shelf, strict_server, client):
    with connect(listen(tls=strict_server).port, client) as association:
        association.store(1, sop_class_uid=CT, sop_instance_uid="1.2", data=b"ab")
    assert shelf.objects[0].peer.tls_subject == "CN=ct01,O=Hospital"


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_without_the_certificate_asked_for_there_is_no_association(
    listen: Listen, strict_server, anonymous, version
):
    anonymous.maximum_version = ssl.TLSVersion[version]
    with pytest.raises(TlsFailed) as caught:
        connect(listen(tls=strict_server).port, anonymous)
    assert caught.value.reason.startswith("tls_")


def test_a_requested_certificate_may_be_missing(listen: Listen, certificates, anonymous):
    server = server_context(
        cert=certificates.server,
        key=certificates.server_key,
        ca=certificates.ca,
        client="request",
    )
    with connect(listen(tls=server).port, anonymous) as association:
        assert association.echo() == 0


def test_a_server_that_another_ca_signed_is_refused(listen: Listen, server, certificates):
    with pytest.raises(TlsFailed, match="certificate not accepted") as caught:
        connect(listen(tls=server).port, client_context(ca=certificates.other_ca))
    assert caught.value.reason == "tls_certificate"


def test_a_server_with_another_name_is_refused_unless_told_otherwise(
    listen: Listen, server, anonymous, certificates
):
    port = listen(tls=server).port
    with pytest.raises(TlsFailed, match="match"):
        connect(port, anonymous, server_name="pacs.example.org")
    with connect(port, anonymous, server_name="localhost") as association:
        assert association.echo() == 0
    relaxed = client_context(ca=certificates.ca, check_hostname=False)
    with connect(port, relaxed, server_name="pacs.example.org") as association:
        assert association.echo() == 0


def test_plain_dicom_on_a_tls_port_and_the_other_way_round(listen: Listen, server, anonymous):
    with pytest.raises(NetError):
        connect(listen(tls=server).port, None)
    with pytest.raises(TlsFailed) as caught:
        connect(listen().port, anonymous)
    assert caught.value.reason == "tls_handshake"


def test_a_peer_that_is_silent_during_the_handshake(anonymous):
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(TimedOut) as caught,
    ):
        open_association(
            "127.0.0.1",
            listening.getsockname()[1],
            a_request(),
            tls=anonymous,
            timeouts=Timeouts(connect=0.1),
        )
    assert caught.value.what == "tls"


def test_old_versions_are_not_spoken(server, anonymous, certificates):
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert anonymous.minimum_version == ssl.TLSVersion.TLSv1_2
    newest = server_context(
        cert=certificates.server, key=certificates.server_key, min_version="1.3"
    )
    assert newest.minimum_version == ssl.TLSVersion.TLSv1_3


def test_old_ciphers_are_not_spoken(server):
    for cipher in server.get_ciphers():
        assert cipher["aead"], cipher["name"]
        assert "Kx=RSA " not in cipher["description"], cipher["name"]


def test_a_closed_association_is_noticed_under_tls(listen: Listen, server, anonymous):
    acceptor = listen(tls=server)
    association = connect(acceptor.port, anonymous)
    assert association.echo() == 0
    acceptor.close()
    assert not association.alive()


def test_what_is_there_is_read_at_once_and_what_ends_it_after_that(server, anonymous):
    ours, theirs = tcp_pair()
    accepted = server.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    wire = TlsWire(accepted)
    answering = threading.Thread(target=wire.handshake, args=(5.0,))
    answering.start()
    with anonymous.wrap_socket(theirs, server_hostname="127.0.0.1") as session:
        answering.join()
        records = [bytes([number]) * 20_000 for number in range(5)]
        for record in records:
            session.sendall(record)
        os.write(session.fileno(), b"noise, which is no record of TLS")
        session.shutdown(socket.SHUT_WR)
        until_all_came = select.poll()
        until_all_came.register(accepted, select.POLLRDHUP)
        assert until_all_came.poll(5000)
        view = memoryview(bytearray(1 << 20))
        assert wire.receive_into(view, 5.0) == 100_000
        assert view[:100_000] == b"".join(records)
        with pytest.raises(ssl.SSLError):
            wire.receive_into(view, 5.0)
    wire.close()


@pytest.mark.parametrize("file", ["cert", "key", "ca"])
def test_files_that_are_no_certificates_are_named(certificates, tmp_path: Path, file):
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")
    settings = {
        "cert": certificates.server,
        "key": certificates.server_key,
        "ca": certificates.ca,
        file: broken,
    }
    with pytest.raises(TlsFailed, match=r"broken\.pem") as caught:
        server_context(client="require", **settings)
    assert caught.value.reason == "tls_settings"


def test_a_key_that_is_not_the_certificates(certificates):
    with pytest.raises(TlsFailed, match="cannot be used"):
        server_context(cert=certificates.server, key=certificates.client_key)


def test_client_certificates_need_a_ca(certificates):
    with pytest.raises(TlsFailed, match="need a CA"):
        server_context(cert=certificates.server, key=certificates.server_key, client="require")


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ((), None),
        (((("commonName", "ct01"),),), "CN=ct01"),
        (((("organizationName", "A, B"),), (("commonName", "x"),)), r"CN=x,O=A\, B"),
        (((("commonName", " #x "),),), r"CN=\ #x\ "),
        (((("commonName", "a"), ("userId", "b")),), "CN=a+UID=b"),
        (((("emailAddress", "a@b"),),), "emailAddress=a@b"),
    ],
)
def test_subjects_are_written_as_rfc_4514_does(subject, text):
    assert subject_of({"subject": subject}) == text


def test_no_certificate_no_subject():
    assert subject_of({}) is None

"""Listening, serving, draining and closing."""

import os
import socket
import threading

import pytest

from router.dicom.events import AssociationRequested
from router.net import acceptor as acceptor_module
from router.net.acceptor import Acceptor
from router.net.connection import Connection
from router.net.errors import AssociationAborted, ConnectFailed, NetError
from router.net.requestor import OutgoingAssociation, Timeouts, open_association
from router.net.storage_scp import serve_storage
from tests.programs import wait_until
from tests.router.net.material import CT, Listen, Shelf, a_request


def connect(port: int, host: str = "127.0.0.1") -> OutgoingAssociation:
    return open_association(host, port, a_request(), timeouts=Timeouts(acse=5, dimse=5))


def test_many_associations_at_once(listen: Listen, shelf: Shelf):
    acceptor = listen()
    associations = [connect(acceptor.port) for _ in range(20)]
    assert acceptor.open_connections == 20
    for association in associations:
        data = os.urandom(8)
        association.store(1, sop_class_uid=CT, sop_instance_uid="1.2", data=data)
        assert shelf.data[-1] == data
        association.release()
    wait_until(lambda: acceptor.open_connections == 0, "all threads to end")


def test_the_peer_is_known(listen: Listen, shelf: Shelf):
    with connect(listen().port) as association:
        association.store(1, sop_class_uid=CT, sop_instance_uid="1.2", data=b"ab")
    assert shelf.objects[0].peer.host == "127.0.0.1"
    assert shelf.objects[0].peer.port > 0
    assert shelf.objects[0].peer.tls_subject is None


def test_an_ipv4_peer_of_an_ipv6_listener_is_named_as_ipv4(shelf: Shelf):
    acceptor = Acceptor(
        host="::", port=0, serve=lambda connection: serve_storage(connection, shelf.receive)
    )
    try:
        acceptor.start()
    except OSError:
        pytest.skip("no IPv6 here")
    try:
        for host in ("127.0.0.1", "::1"):
            with connect(acceptor.port, host) as association:
                association.store(1, sop_class_uid=CT, sop_instance_uid="1.2", data=b"ab")
        assert [received.peer.host for received in shelf.objects] == ["127.0.0.1", "::1"]
    finally:
        acceptor.close()


def test_a_port_that_is_taken_is_an_error(listen: Listen):
    taken = listen().port
    with pytest.raises(OSError, match=f"port {taken} of 127.0.0.1 is in use"):
        Acceptor(host="127.0.0.1", port=taken, serve=lambda _: None).start()


@pytest.mark.parametrize(
    ("host", "words"),
    [("192.0.2.1", "no address 192.0.2.1"), ("nowhere.invalid", "nowhere.invalid is no address")],
)
def test_an_address_of_another_machine_is_an_error(host: str, words: str):
    with pytest.raises(OSError, match=words):
        Acceptor(host=host, port=0, serve=lambda _: None).start()


def test_stop_refuses_the_new_and_keeps_the_old(listen: Listen):
    acceptor = listen()
    port = acceptor.port
    with connect(port) as association:
        acceptor.stop()
        acceptor.stop()
        with pytest.raises(ConnectFailed):
            connect(port)
        assert association.echo() == 0


def test_drain_waits_for_what_is_under_way(listen: Listen, shelf: Shelf):
    acceptor = listen()
    association = connect(acceptor.port)
    left: list[int] = []
    drain = threading.Thread(target=lambda: left.append(acceptor.drain(10)))
    drain.start()
    for _ in range(3):
        assert association.echo() == 0
    association.release()
    drain.join()
    assert left == [0]


def test_drain_gives_up_at_its_time_out(listen: Listen):
    acceptor = listen()
    with connect(acceptor.port) as association:
        assert acceptor.drain(0.05) == 1
        assert association.echo() == 0


def test_drain_aborts_what_is_quiet(listen: Listen, monkeypatch):
    monkeypatch.setattr(acceptor_module, "QUIET", 0.05)
    acceptor = listen()
    association = connect(acceptor.port)
    assert acceptor.drain(10) == 0
    with pytest.raises(AssociationAborted):
        association.echo()


def test_close_aborts_everything(listen: Listen):
    acceptor = listen()
    associations = [connect(acceptor.port) for _ in range(3)]
    acceptor.close()
    assert acceptor.open_connections == 0
    for association in associations:
        with pytest.raises(AssociationAborted):
            association.echo()


def test_a_mistake_while_serving_ends_that_association_alone(listen: Listen, shelf: Shelf):
    def serve(connection: Connection) -> None:
        if shelf.objects:
            raise ZeroDivisionError
        serve_storage(connection, shelf.receive)

    acceptor = listen(serve)
    with connect(acceptor.port) as good:
        good.store(1, sop_class_uid=CT, sop_instance_uid="1.2", data=b"ab")
        with pytest.raises(NetError):
            connect(acceptor.port)
        assert good.echo() == 0


def test_a_flood_of_connections_is_not_a_flood_of_threads(listen: Listen):
    acceptor = listen(most_connections=2)
    first, second = connect(acceptor.port), connect(acceptor.port)
    with pytest.raises(NetError):
        connect(acceptor.port)
    first.release()
    wait_until(lambda: acceptor.open_connections == 1, "a place to be free")
    with connect(acceptor.port) as third:
        assert third.echo() == 0
    second.release()


def test_connections_that_say_nothing_or_nonsense_do_no_harm(listen: Listen):
    acceptor = listen()
    for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\xff\xff\xff\xff"):
        with socket.create_connection(("127.0.0.1", acceptor.port)) as stranger:
            stranger.sendall(words)
    with connect(acceptor.port) as association:
        assert association.echo() == 0


def test_serve_may_return_without_a_word(listen: Listen):
    def serve(connection: Connection) -> None:
        assert isinstance(connection.next_event(), AssociationRequested)

    with pytest.raises(AssociationAborted):
        connect(listen(serve).port)

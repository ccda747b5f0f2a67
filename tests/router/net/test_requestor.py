"""The requesting side, against our own acceptor and against peers that misbehave."""

import os
import random
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from router.dicom.association import Association
from router.dicom.commands import CEchoRsp, Command, CStoreRsp
from router.dicom.events import AssociationRequested, CommandReceived, DataReceived
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.pdu_writer import write_pdu
from router.dicom.pdus import AAbort, AReleaseRq
from router.dicom.reasons import RejectReason
from router.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from router.net.connection import Connection
from router.net.errors import (
    AssociationAborted,
    AssociationRejected,
    AssociationReleased,
    ConnectFailed,
    ConnectionLost,
    DataSourceFailed,
    NetError,
    ProtocolViolation,
    TimedOut,
)
from router.net.requestor import (
    DataSource,
    FileSlice,
    OutgoingAssociation,
    Timeouts,
    open_association,
)
from router.net.storage_scp import serve_storage
from tests.router.net.material import CT, Listen, Shelf, a_request

IMPATIENT = Timeouts(connect=0.2, acse=0.2, dimse=0.2, network=0.2)


def store(association: OutgoingAssociation, data: DataSource, uid: str = "1.2.3") -> CStoreRsp:
    return association.store(1, sop_class_uid=CT, sop_instance_uid=uid, data=data)


def connect(port: int, timeouts: Timeouts | None = None) -> OutgoingAssociation:
    return open_association("127.0.0.1", port, a_request(), timeouts=timeouts)


@pytest.fixture
def object_file(tmp_path: Path):
    data = random.Random(7).randbytes(3_000_002)
    (tmp_path / "object").write_bytes(data)
    fd = os.open(tmp_path / "object", os.O_RDONLY)
    yield fd, data
    os.close(fd)


@pytest.mark.parametrize("max_length", [0, 4096, 16384, 131072, 1024 * 1024])
def test_objects_arrive_byte_for_byte(listen: Listen, shelf: Shelf, object_file, max_length):
    fd, data = object_file
    acceptor = listen(acceptance=Acceptance(max_length=max_length))
    with connect(acceptor.port) as association:
        for source in (
            data,
            FileSlice(fd, 0, len(data)),
            (data[:1001], FileSlice(fd, 1001, 2_000_000), b"", FileSlice(fd, 2_001_001, 999_001)),
            b"ab",
            b"",
        ):
            assert store(association, source).status == 0
        assert association.messages_sent == 5
    assert shelf.data == [data, data, data, b"ab", b""]


def test_a_response_is_returned_whatever_its_status(listen: Listen, shelf: Shelf):
    shelf.status = 0xA700
    with connect(listen().port) as association:
        response = store(association, b"ab", "1.2.99")
        assert (response.status, response.affected_sop_instance_uid) == (0xA700, "1.2.99")
        assert association.echo() == 0


def test_contexts_are_found_by_class_and_transfer_syntax(listen: Listen):
    with connect(listen().port) as association:
        context = association.context_for(CT, EXPLICIT_VR_LITTLE_ENDIAN)
        assert context is not None
        assert context.context_id == 1
        assert association.context_for(CT) == context
        assert association.context_for(CT, IMPLICIT_VR_LITTLE_ENDIAN) is None
        assert association.context_for("1.2.3") is None
        assert association.acceptance.called_ae_title == "CALLED"


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectFailed, match="refused") as caught:
        connect(port)
    assert caught.value.reason == "connect_refused"


def test_a_host_that_does_not_exist():
    with pytest.raises(ConnectFailed) as caught:
        open_association("no-such-host.invalid", 104, a_request())
    assert caught.value.reason == "connect_unknown_host"


def test_a_rejected_association_says_why(listen: Listen, shelf: Shelf):
    def serve(connection: Connection) -> None:
        reason = RejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED
        serve_storage(connection, shelf.receive, refusal=lambda _: reason)

    with pytest.raises(AssociationRejected, match="called ae title") as caught:
        connect(listen(serve).port)
    error = caught.value
    assert (error.result, error.source, error.code, error.transient) == (1, 1, 7, False)
    assert error.reason == "rejected_called_ae_title_not_recognized"


def test_a_peer_that_aborts_instead_of_answering(listen: Listen, shelf: Shelf):
    shelf.status = None
    association = connect(listen().port)
    with pytest.raises(AssociationAborted) as caught:
        store(association, b"ab")
    assert (caught.value.source, caught.value.reason) == (0, "aborted_user")
    assert not association.alive()
    with pytest.raises(AssociationAborted):  # it stays closed, for the same reason
        store(association, b"ab")


def test_a_peer_that_never_answers(silent_port: int):
    with pytest.raises(TimedOut) as caught:
        connect(silent_port, IMPATIENT)
    assert (caught.value.what, caught.value.reason) == ("acse", "timeout_acse")


# Peers played by hand: they accept, then do what a test wants with the bare socket.


Behave = Callable[[socket.socket, Association], None]


def next_of(sock: socket.socket, association: Association, kind: type) -> object:
    """Read until an event of this kind comes, writing what is due."""
    while True:
        sock.sendall(association.outgoing())
        event = association.next_event()
        if isinstance(event, kind):
            return event
        if event is None:
            association.receive(sock.recv(65536))


@pytest.fixture
def silent_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def peer():
    """Starts a peer with this behaviour after acceptance; returns its port."""
    threads: list[threading.Thread] = []

    def start(behave: Behave) -> int:
        listening = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with listening, listening.accept()[0] as sock:
                association = Association.acceptor(now=0.0)
                event = next_of(sock, association, AssociationRequested)
                assert isinstance(event, AssociationRequested)
                association.accept(negotiate(event.request, Acceptance()))
                sock.sendall(association.outgoing())
                behave(sock, association)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listening.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def until_closed(sock: socket.socket) -> None:
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        return


def answers_with(response: Command) -> Behave:
    def behave(sock: socket.socket, association: Association) -> None:
        next_of(sock, association, DataReceived)
        association.send_command(1, response, has_data=False)
        sock.sendall(association.outgoing())
        until_closed(sock)

    return behave


def silent(sock: socket.socket, _: Association) -> None:
    until_closed(sock)


def test_a_peer_that_answers_no_object(peer):
    association = connect(peer(silent), IMPATIENT)
    with pytest.raises(TimedOut) as caught:
        store(association, b"ab")
    assert caught.value.what == "dimse"
    assert not association.alive()


def test_a_peer_that_takes_no_bytes(peer):
    wait = threading.Event()
    association = connect(peer(lambda *_: wait.wait(10)), IMPATIENT)
    with pytest.raises(TimedOut) as caught:
        store(association, bytes(50_000_000))
    wait.set()
    assert caught.value.what == "network"


def test_an_abort_while_we_are_sending_ends_it_at_once(peer):
    """The peer reads no more and does not close either: without listening, we would wait long."""
    wait = threading.Event()

    def abort(sock: socket.socket, association: Association) -> None:
        next_of(sock, association, CommandReceived)
        sock.sendall(write_pdu(AAbort(source=2, reason=6)))
        wait.wait(10)

    association = connect(peer(abort))
    with pytest.raises(AssociationAborted) as caught:
        store(association, bytes(50_000_000))
    wait.set()
    assert caught.value.reason == "aborted_invalid_parameter_value"


def test_an_abort_and_a_reset_while_we_are_sending_is_an_abort(peer):
    def abort(sock: socket.socket, association: Association) -> None:
        next_of(sock, association, CommandReceived)
        sock.sendall(write_pdu(AAbort(source=0, reason=0)))

    association = connect(peer(abort))
    with pytest.raises(AssociationAborted):
        store(association, bytes(50_000_000))


def test_a_peer_that_vanishes(peer):
    def reset(sock: socket.socket, association: Association) -> None:
        next_of(sock, association, CommandReceived)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    association = connect(peer(reset))
    with pytest.raises(ConnectionLost) as caught:
        store(association, bytes(50_000_000))
    assert caught.value.reason == "connection_lost"


def test_an_early_response_is_kept_while_the_rest_is_sent(peer):
    """Some peers refuse by the command alone, and read the data set to its end all the same."""

    def refuse(sock: socket.socket, association: Association) -> None:
        event = next_of(sock, association, CommandReceived)
        assert isinstance(event, CommandReceived)
        response = CStoreRsp(message_id_being_responded_to=1, status=0xA700)
        association.send_command(1, response, has_data=False)
        sock.sendall(association.outgoing())
        while not getattr(next_of(sock, association, DataReceived), "last"):  # noqa: B009
            pass
        until_closed(sock)

    association = connect(peer(refuse))
    assert store(association, bytes(20_000_000)).status == 0xA700
    association.abort()


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (CStoreRsp(message_id_being_responded_to=9, status=0), "not sent"),
        (CEchoRsp(message_id_being_responded_to=1, status=0), "CEchoRsp instead of CStoreRsp"),
    ],
)
def test_a_response_to_something_else_is_a_violation(peer, response, words):
    association = connect(peer(answers_with(response)))
    with pytest.raises(ProtocolViolation, match=words):
        store(association, b"ab")
    assert not association.alive()


def test_noise_is_a_violation(peer):
    def noise(sock: socket.socket, association: Association) -> None:
        next_of(sock, association, DataReceived)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n")
        until_closed(sock)

    association = connect(peer(noise))
    with pytest.raises(ProtocolViolation):
        store(association, b"ab")


def test_a_peer_that_releases_instead_of_answering(peer):
    def release(sock: socket.socket, association: Association) -> None:
        next_of(sock, association, DataReceived)
        sock.sendall(write_pdu(AReleaseRq()))
        until_closed(sock)

    association = connect(peer(release))
    with pytest.raises(AssociationReleased):
        store(association, b"ab")


@pytest.mark.parametrize("farewell", [write_pdu(AAbort()), write_pdu(AReleaseRq()), b""])
def test_that_a_peer_has_gone_in_the_meantime_is_noticed(peer, farewell):
    gone = threading.Event()

    def leave(sock: socket.socket, _: Association) -> None:
        sock.sendall(farewell)
        sock.shutdown(socket.SHUT_WR)
        gone.set()
        until_closed(sock)

    association = connect(peer(leave))
    assert gone.wait(5)
    assert not association.alive()
    with pytest.raises(NetError):
        association.echo()
    association.release()  # nothing to do any more


def test_a_quiet_association_is_alive(peer):
    association = connect(peer(silent))
    assert association.alive()
    association.abort()
    assert not association.alive()


def test_a_release_that_meets_the_peers_own(peer):
    def collide(sock: socket.socket, association: Association) -> None:
        sock.sendall(write_pdu(AReleaseRq()))
        collided.set()
        until_closed(sock)

    collided = threading.Event()
    association = connect(peer(collide), IMPATIENT)
    assert collided.wait(5)
    association.release()
    assert not association.alive()


def test_a_release_that_nobody_answers_is_forgiven(peer):
    association = connect(peer(silent), IMPATIENT)
    association.release()
    assert not association.alive()


def test_a_file_that_shrank_aborts_and_says_so(listen: Listen, shelf: Shelf, tmp_path: Path):
    (tmp_path / "short").write_bytes(bytes(1000))
    fd = os.open(tmp_path / "short", os.O_RDONLY)
    association = connect(listen().port)
    with pytest.raises(DataSourceFailed, match="shorter"):
        store(association, FileSlice(fd, 0, 2000))
    os.close(fd)
    assert not association.alive()
    assert shelf.data == []


def test_an_exception_aborts_and_peace_releases(listen: Listen):
    acceptor = listen()
    with pytest.raises(ZeroDivisionError), connect(acceptor.port) as association:
        raise ZeroDivisionError
    assert not association.alive()


def test_message_ids_start_again_after_65535(listen: Listen):
    with connect(listen().port) as association:
        association.messages_sent = 65535
        assert association.echo() == 0
        assert association.messages_sent == 65536

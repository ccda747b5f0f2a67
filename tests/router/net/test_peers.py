"""The shells against other makers' programs, plain and with TLS."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from router.dicom.part10 import read_file_meta
from router.net.errors import AssociationRejected, NetError, TlsFailed
from router.net.requestor import FileSlice, OutgoingAssociation, open_association
from router.net.tls import client_context, server_context
from tests.certificates import Certificates
from tests.programs import Program, free_port, needed
from tests.pynetdicom_pause import steady
from tests.router.net.material import CT, Listen, Shelf, a_request

pytestmark = pytest.mark.interop

# Many peers run with Nagle's algorithm on, which is DCMTK's default.
UNTUNED = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
# What one message costs where header and body of a PDU wait for a delayed acknowledgement.
DELAYED_ACKNOWLEDGEMENT = 0.04
OBJECTS = 50


@pytest.fixture(scope="module")
def image() -> Path:
    return Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture(scope="module")
def data_set(image: Path) -> bytes:
    content = image.read_bytes()
    _, offset = read_file_meta(content)
    return content[offset:]


def run(program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [needed(program), *map(str, words)]
    return subprocess.run(command, env=UNTUNED, capture_output=True, text=True, timeout=60)


# They send, we receive.


@pytest.fixture
def tls_words(certificates: Certificates) -> dict[str, tuple[str | Path, ...]]:
    trust = ("+cf", certificates.ca)
    return {
        "with certificate": ("+tls", certificates.client_key, certificates.client, *trust),
        "anonymous": ("+tla", *trust),
        "plain": (),
    }


def test_echoscu_is_answered(listen: Listen):
    ended = run("echoscu", "127.0.0.1", str(listen().port))
    assert ended.returncode == 0, ended.stderr


def test_storescu_sends(listen: Listen, shelf: Shelf, image: Path):
    ended = run("storescu", "127.0.0.1", str(listen().port), image)
    assert ended.returncode == 0, ended.stderr
    written = pydicom.dcmread(image)
    assert shelf.objects[0].command.affected_sop_instance_uid == written.SOPInstanceUID
    assert len(shelf.data) == 1


def test_an_untuned_storescu_does_not_wait_for_acknowledgements(
    listen: Listen, shelf: Shelf, image: Path
):
    started = time.monotonic()
    ended = run("storescu", "--repeat", str(OBJECTS), "127.0.0.1", str(listen().port), image)
    took = time.monotonic() - started
    assert ended.returncode == 0, ended.stderr
    assert len(shelf.data) == OBJECTS
    assert took < OBJECTS * DELAYED_ACKNOWLEDGEMENT / 2


@pytest.mark.parametrize("client", ["with certificate", "anonymous", "plain"])
@pytest.mark.parametrize("wanted", ["require", "request", "none"])
def test_storescu_over_tls(
    listen: Listen, shelf: Shelf, certificates: Certificates, image, tls_words, client, wanted
):
    context = server_context(
        cert=certificates.server,
        key=certificates.server_key,
        ca=certificates.ca,
        client=wanted,
    )
    ended = run("storescu", *tls_words[client], "127.0.0.1", str(listen(tls=context).port), image)
    welcome = client == "with certificate" or (client == "anonymous" and wanted != "require")
    assert (ended.returncode == 0) == welcome, ended.stderr
    assert len(shelf.data) == int(welcome)
    if welcome:
        known = client == "with certificate" and wanted != "none"
        assert shelf.objects[0].peer.tls_subject == ("CN=ct01,O=Hospital" if known else None)


def test_pynetdicom_sends(listen: Listen, shelf: Shelf, image: Path):
    ae = AE()
    ae.add_requested_context(CTImageStorage, pydicom.uid.ExplicitVRLittleEndian)
    ae.add_requested_context(Verification)
    association = steady(ae.associate("127.0.0.1", listen().port))
    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(pydicom.dcmread(image)).Status == 0
    association.release()
    assert association.is_released
    assert len(shelf.data) == 1


# We send, they receive.


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Callable[..., tuple[int, Path]]]:
    programs: list[Program] = []

    def start(*words: str | Path) -> tuple[int, Path]:
        port, kept = free_port(), tmp_path / f"kept{len(programs)}"
        kept.mkdir()
        command = (needed("storescp"), "+B", "+uf", *words, "-od", kept, str(port))
        program = Program(["env", "-u", "TCP_NODELAY", *map(str, command)], tmp_path / "log")
        programs.append(program)
        program.wait_for_port(port)
        return port, kept

    yield start
    for program in programs:
        program.stop()


def store(association: OutgoingAssociation, data: bytes | FileSlice, uid: str = "1.2.3") -> int:
    return association.store(1, sop_class_uid=CT, sop_instance_uid=uid, data=data).status


@pytest.mark.parametrize("max_length", ["4096", "16384", "131072"])
def test_storescp_gets_every_byte(storescp, image: Path, data_set: bytes, max_length):
    port, kept = storescp("-pdu", max_length)
    fd = os.open(image, os.O_RDONLY)
    with open_association("127.0.0.1", port, a_request()) as association:
        assert association.echo() == 0
        assert store(association, data_set) == 0
        offset = os.fstat(fd).st_size - len(data_set)
        assert store(association, FileSlice(fd, offset, len(data_set)), "1.2.4") == 0
    os.close(fd)
    files = sorted(kept.iterdir())
    assert len(files) == 2
    for file in files:
        content = file.read_bytes()
        assert content[read_file_meta(content)[1] :] == data_set


def test_an_untuned_storescp_does_not_wait_for_acknowledgements(storescp, data_set: bytes):
    port, _ = storescp("--ignore")
    with open_association("127.0.0.1", port, a_request()) as association:
        started = time.monotonic()
        for index in range(OBJECTS):
            assert store(association, data_set, f"1.2.{index}") == 0
        assert time.monotonic() - started < OBJECTS * DELAYED_ACKNOWLEDGEMENT / 2


def test_storescp_over_tls(storescp, certificates: Certificates, data_set: bytes):
    port, kept = storescp(
        *("+tls", certificates.server_key, certificates.server, "+cf", certificates.ca)
    )
    known = client_context(
        ca=certificates.ca, cert=certificates.client, key=certificates.client_key
    )
    with open_association("127.0.0.1", port, a_request(), tls=known) as association:
        assert store(association, data_set) == 0
    assert len(list(kept.iterdir())) == 1
    with pytest.raises(TlsFailed):
        open_association(
            "127.0.0.1", port, a_request(), tls=client_context(ca=certificates.ca)
        ).echo()
    with pytest.raises(NetError):
        open_association("127.0.0.1", port, a_request())


def test_storescp_refuses(storescp):
    port, _ = storescp("--refuse")
    with pytest.raises(AssociationRejected):
        open_association("127.0.0.1", port, a_request())


def test_storescp_aborts_in_the_middle(storescp, data_set: bytes):
    port, _ = storescp("--abort-during")
    association = open_association("127.0.0.1", port, a_request())
    with pytest.raises(NetError) as caught:
        store(association, data_set * 200)
    assert caught.value.reason.startswith(("aborted_", "connection_lost"))


def test_pynetdicom_receives(data_set: bytes):
    got: list[bytes] = []

    def keep(event: Any) -> int:
        got.append(event.request.DataSet.getvalue())
        return 0xB000

    ae = AE()
    ae.add_supported_context(CTImageStorage)
    ae.add_supported_context(Verification)
    server: Any = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    try:
        port = server.socket.getsockname()[1]
        with open_association("127.0.0.1", port, a_request()) as association:
            assert association.echo() == 0
            assert store(association, data_set) == 0xB000
    finally:
        server.shutdown()
    assert got == [data_set]

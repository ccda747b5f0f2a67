"""tshark's DICOM dissector finds no fault with anything that the router says or is told."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage

from router.dicom.part10 import FileMeta, encode_file_meta
from tests.faults.modality import MARK, slice_template
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop import corpus
from tests.interop.capture import PDUS, Capture, Frame
from tests.interop.senders import OurSend, Storescu
from tests.programs import Program, free_port, needed, wait_until

pytestmark = pytest.mark.interop

DICOM_ROUTER = Path(sys.executable).with_name("dicom-router")
#: Explicit and Implicit Little Endian, Big Endian; no deflated or compressed ones: tshark 4 cannot
#: walk to their ends, and then misreads the command that follows, be it DCMTK's or ours.
FILES = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm")
DELIVERED = 2 * len(FILES) + 2
SMALL_PDU = 4096
#: The dissector's opinions of PDUs that are as they should be.
REMARKS = {"Association aborted", "Association rejected"}
RELEASE_OUT_OF_PLACE = b"\x05\0\0\0\0\4\0\0\0\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was captured, and who was who."""

    frames: list[Frame]
    router: int
    peers: dict[str, int]

    def said(self, *, source: int | None = None, target: int | None = None) -> list[str]:
        """The PDUs of a port, or to a port, by name and in order."""
        return [
            pdu
            for frame in self.frames
            if source in (None, frame.source) and target in (None, frame.target)
            for pdu in frame.pdus
        ]


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Conversation:
    folder = tmp_path_factory.mktemp("wire")
    peers = {name: free_port() for name in ("small", "large", "rejecting", "aborting", "hanging")}
    router = RouterUnderTest(
        folder / "router",
        destinations=[
            dicom("small", peers["small"], associations=1),
            dicom("large", peers["large"], associations=1, idle="1s"),
            dicom("rejecting", peers["rejecting"]),
            dicom("aborting", peers["aborting"]),
            dicom("hanging", peers["hanging"], timeouts={"dimse": "500ms"}),
        ],
        routes=[{"name": "all", "send_to": list(peers)}],
        loops={"receptions": 100},  # the files share SOP Instance UIDs
    )
    with Capture(folder, [router.port, *peers.values()]) as capture, ExitStack() as stack:
        for program in _peers(folder, peers):
            stack.callback(program.stop)
        with router:
            _talk(folder, router)
            _wait_for_deliveries(router)
    return Conversation(frames=capture.frames(), router=router.port, peers=peers)


def _peers(folder: Path, ports: dict[str, int]) -> Iterator[Program]:
    kept = folder / "kept"
    kept.mkdir()
    small: list[str | Path] = [needed("storescp"), "--fork", "+xa", "-pdu", str(SMALL_PDU)]
    small += ["-od", kept, str(ports["small"])]
    ours: dict[str, tuple[str, ...]] = {
        "large": (),
        "rejecting": ("--reject", "called-ae-unknown"),
        "aborting": ("--abort-every", "1"),
        "hanging": ("--delay", "60"),
    }
    commands: dict[str, list[str | Path]] = {"small": small}
    for name, options in ours.items():
        commands[name] = [DICOM_ROUTER, "sink", "--port", str(ports[name]), *options]
    for name, command in commands.items():
        program = Program(command, folder / f"{name}.log")
        yield program
        program.wait_for_port(ports[name])


def _talk(folder: Path, router: RouterUnderTest) -> None:
    """An echo, stores, aborts from either side, a rejection; all else ends with a release."""
    by_name = {specimen.name: specimen for specimen in corpus.storage_objects()}
    specimens = [by_name[name] for name in FILES]
    where = ["127.0.0.1", str(router.port)]
    run([needed("echoscu"), "-aec", "ROUTER", *where])
    Storescu().send(specimens, router.port, "ROUTER")
    small = ["-pdu", str(SMALL_PDU), "--max-send-pdu", str(SMALL_PDU)]
    run([needed("storescu"), *small, "-xe", "-aec", "ROUTER", *where, specimens[0].path])
    run([DICOM_ROUTER, "send", "--to", ":".join(where), "--called", "ROUTER", large_file(folder)])
    OurSend().send(specimens, router.port, "ROUTER")
    run([needed("echoscu"), "--abort", "-aec", "ROUTER", *where])
    assert run([needed("echoscu"), "-aec", "NOBODY", *where], strict=False) != 0
    with socket.create_connection(("127.0.0.1", router.port)) as peer:
        peer.sendall(RELEASE_OUT_OF_PLACE)
        while peer.recv(100):
            pass
    run([DICOM_ROUTER, "echo", "small", "-c", router.folder / "site.yaml"])


def _wait_for_deliveries(router: RouterUnderTest) -> None:
    owed = "SELECT count(*) FROM deliveries WHERE destination IN ('small', 'large') AND state "
    settled = "SELECT count(*) FROM destinations WHERE failures > 0"
    wait_until(lambda: router.count(owed + "= 'delivered'") == 2 * DELIVERED, "deliveries")
    wait_until(lambda: router.count(settled) == 3, "failures")


def run(command: list[str | Path], *, strict: bool = True) -> int:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert not strict or done.returncode == 0, done.stdout + done.stderr
    return done.returncode


def large_file(folder: Path) -> Path:
    """A slice of 3 MB: more than one of the largest PDUs."""
    uid = MARK[:-1] + "2"
    meta = FileMeta(
        media_storage_sop_class_uid=CTImageStorage,
        media_storage_sop_instance_uid=uid,
        transfer_syntax_uid=corpus.EXPLICIT_LE,
    )
    data_set = slice_template(1536, 1024).replace(MARK.encode(), uid.encode())
    (folder / "large.dcm").write_bytes(encode_file_meta(meta) + data_set)
    return folder / "large.dcm"


def test_the_dissector_finds_nothing_malformed(conversation: Conversation):
    complaints = {
        frame.number: frame.complaints
        for frame in conversation.frames
        if set(frame.complaints) - REMARKS
    }
    assert complaints == {}


def test_as_an_scp_the_router_says_and_hears_every_pdu(conversation: Conversation):
    heard = conversation.said(target=conversation.router)
    said = conversation.said(source=conversation.router)
    assert set(heard + said) == set(PDUS.values())
    assert {"A-ASSOCIATE-AC", "A-ASSOCIATE-RJ", "P-DATA-TF", "A-RELEASE-RP", "A-ABORT"} == set(said)
    assert said.count("A-ASSOCIATE-RJ") == 1
    assert (heard.count("A-ABORT"), said.count("A-ABORT")) == (1, 1)
    assert heard.count("A-RELEASE-RQ") == said.count("A-RELEASE-RP") + 1  # one out of place
    assert said.count("A-ASSOCIATE-AC") == said.count("A-RELEASE-RP") + 1  # one aborted


def test_as_an_scu_the_router_says_and_hears_every_pdu(conversation: Conversation):
    peers = conversation.peers
    said = [pdu for port in peers.values() for pdu in conversation.said(target=port)]
    heard = [pdu for port in peers.values() for pdu in conversation.said(source=port)]
    assert {"A-ASSOCIATE-RQ", "P-DATA-TF", "A-RELEASE-RQ", "A-ABORT"} == set(said)
    assert set(heard) == set(PDUS.values()) - set(said) | {"P-DATA-TF", "A-ABORT"}
    assert set(conversation.said(source=peers["rejecting"])) == {"A-ASSOCIATE-RJ"}
    assert "A-ABORT" in conversation.said(source=peers["aborting"])
    assert "A-ABORT" in conversation.said(target=peers["hanging"])
    for name in ("small", "large"):
        assert "A-ABORT" not in conversation.said(target=peers[name])
        assert "A-RELEASE-RQ" in conversation.said(target=peers[name])


def test_pdus_are_as_long_as_the_peer_takes_them(conversation: Conversation):
    def longest(port: int) -> int:
        frames = [frame for frame in conversation.frames if frame.target == port]
        return max(length for frame in frames for length in frame.lengths)

    assert SMALL_PDU - 2 <= longest(conversation.peers["small"]) <= SMALL_PDU
    assert (1 << 20) - 2 <= longest(conversation.peers["large"]) <= 1 << 20
    assert longest(conversation.router) > 1 << 19


def test_each_syntax_was_agreed_upon(conversation: Conversation):
    by_name = {specimen.name: specimen for specimen in corpus.storage_objects()}
    sent = {by_name[name].transfer_syntax_uid for name in FILES}
    assert len(sent) == len(FILES)
    peers = conversation.peers
    for port in (conversation.router, peers["small"], peers["large"]):
        agreed = {
            syntax.rpartition("(")[2].rstrip(")")  # behind its name
            for frame in conversation.frames
            if frame.source == port and "A-ASSOCIATE-AC" in frame.pdus
            for syntax in frame.syntaxes
        }
        assert agreed >= sent

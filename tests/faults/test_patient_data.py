"""A name that is planted wherever an object can hold one appears in nothing that the router says.

Logs at their most talkative, figures, names of files and of processes, and every column of the
ledger but those by which people look objects up.
"""

from __future__ import annotations

import struct
import subprocess
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import CTImageStorage
from sqlalchemy import create_engine, inspect, text

from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import IMPLEMENTATION_CLASS_UID
from router.net.errors import NetError
from router.net.requestor import OutgoingAssociation, Timeouts, open_association
from tests.faults.one_by_one import new_uid
from tests.faults.recording import Answer, RecordingScp
from tests.faults.router_under_test import DICOM_ROUTER, RouterUnderTest, dicom
from tests.programs import free_port, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

PLANTED = "ZQPLANT"
STRANGER = "ZQSTRANGER"
"""An AE title: logs may have it, figures must not."""
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
JPEG_2000, JPEG = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.50"
TEXTS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI")
LONG = ("UC", "UN", "OB", "OW", "UT", "SQ")
SKIPPED = {0x00080005, 0x00080016, 0x00080018, 0x00080060, 0x7FE00010}

FOR_LOOKING_UP = {
    "objects": {"patient_id", "accession_number", "study_instance_uid", "series_instance_uid"},
}
"""What a person searches by is kept, as docs/operations.md says; nothing else is."""

EDITS: dict[str, list[object]] = {
    "copied": [{"copy": {"from": "PatientName", "to": "StudyDate"}}],
    "templated": [{"set": {"SeriesNumber": "{PatientName}"}}],
    "too-long": [{"prefix": {"PatientID": "0123456789" * 6}}],
    "unknown": [{"lookup": {"table": "known.csv", "tag": "PatientID"}}],
    "mapped": [{"map": {"tag": "PatientName", "values": {"A": "B"}}}],
    "shifted": [{"shift_dates": {"key": "study", "by": "PatientID", "within": 100}}],
    "renamed": [{"new_uid": {"key": "study", "tag": "StudyInstanceUID"}}],
    "decoded": [{"transfer_syntax": "ExplicitVRLittleEndian"}],
}


def element(number: int, vr: str, value: bytes) -> bytes:
    """Explicit VR Little Endian."""
    value += b" " * (len(value) % 2)
    head = struct.pack("<HH2s", number >> 16, number & 0xFFFF, vr.encode())
    short = struct.pack("<2xL" if vr in LONG else "<H", len(value))
    return head + short + value


def planted(uid: str, *, wrong: bool, pixels: bytes | None = None, nested: bool = True) -> bytes:
    """A CT whose every text attribute holds the name; `wrong`: also those that hold no names."""
    name = f"{PLANTED}^Jane".encode()
    body = {
        0x00080016: element(0x00080016, "UI", CTImageStorage.encode() + b"\0"),
        0x00080018: element(0x00080018, "UI", uid.encode()),
        0x00080060: element(0x00080060, "CS", b"CT"),
    }
    for number, (vr, *_) in DicomDictionary.items():
        group = number >> 16
        if vr not in TEXTS or number in SKIPPED or group in (0, 2, 4, 0xFFFE):
            continue
        if vr in ("PN", "LO", "SH", "ST", "LT", "UC") or wrong:
            body[number] = element(number, vr, name)
    body[0x00090010] = element(0x00090010, "LO", PLANTED.encode())
    body[0x00091001] = element(0x00091001, "LO", name)
    body[0x00091002] = element(0x00091002, "UN", name)
    if nested:
        inner = element(0x00100010, "PN", name) + element(0x00100020, "LO", name)
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        body[0x00101002] = element(0x00101002, "SQ", item)
    if pixels is not None:
        body |= picture(pixels)
    return b"".join(body[number] for number in sorted(body))


def picture(fragment: bytes) -> dict[int, bytes]:
    """An encapsulated picture of 8 by 8 pixels, of which this is the codestream."""
    fragment += b"\0" * (len(fragment) % 2)
    items = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    items += struct.pack("<HHL", 0xFFFE, 0xE000, len(fragment)) + fragment
    items += struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    numbers = {0x00280002: 1, 0x00280010: 8, 0x00280011: 8, 0x00280100: 8, 0x00280101: 8}
    numbers |= {0x00280102: 7, 0x00280103: 0}
    made = {number: element(number, "US", struct.pack("<H", n)) for number, n in numbers.items()}
    made[0x00280004] = element(0x00280004, "CS", b"MONOCHROME2")
    made[0x7FE00010] = struct.pack("<HH2s2xL", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF) + items
    return made


def objects() -> Iterator[tuple[str, str, bytes]]:
    """Transfer syntax, SOP Instance UID and data set of each."""
    name = PLANTED.encode()
    for wrong in (False, True):
        uid = new_uid()
        whole = planted(uid, wrong=wrong)
        yield EXPLICIT, uid, whole
        yield EXPLICIT, uid, whole[: len(whole) - 7]  # cut off within a name
        yield EXPLICIT, uid, whole.replace(b"PN", b"SQ")
        yield EXPLICIT, uid, whole.replace(b"PN", b"\xff\xfe")
        yield EXPLICIT, uid, whole.replace(b"PN", b"FD").replace(b"LO", b"US")
        deflated = zlib.compressobj(wbits=-15)
        yield DEFLATED, uid, deflated.compress(whole) + deflated.flush()
        yield DEFLATED, uid, whole
        for syntax in (JPEG, JPEG_2000):
            yield syntax, uid, planted(uid, wrong=wrong, pixels=name * 40)
    yield EXPLICIT, f"{PLANTED}^Jane", whole
    yield EXPLICIT, new_uid(), whole  # another than in the data set
    yield EXPLICIT, uid, name * 30


def associate(port: int, syntax: str, *, title: str = "CT01") -> OutgoingAssociation:
    context = ProposedContext(
        context_id=1, abstract_syntax=CTImageStorage, transfer_syntaxes=(syntax,)
    )
    request = AAssociateRq(
        called_ae_title="ROUTER",
        calling_ae_title=title,
        presentation_contexts=(context,),
        user_information=UserInformation(
            max_length=1 << 20,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=PLANTED,
        ),
    )
    timeouts = Timeouts(connect=10, acse=30, dimse=60, network=60)
    return open_association("127.0.0.1", port, request, timeouts=timeouts)


def send_all(port: int) -> int:
    """How many objects were acknowledged."""
    stored = 0
    for syntax, uid, data in objects():
        association = associate(port, syntax)
        try:
            response = association.store(
                1, sop_class_uid=CTImageStorage, sop_instance_uid=uid, data=data
            )
            stored += response.status == 0
            association.release()
        except NetError:
            association.abort()
    return stored


def site_of(folder: Path, peer: int) -> RouterUnderTest:
    """Each edit that fails has a destination of its own; others fail at the destination."""
    (folder / "file").touch()
    routes: list[dict[str, object]] = [
        {"name": name, "edits": edits, "send_to": [name]} for name, edits in EDITS.items()
    ]
    routes += [
        {"name": "research", "deidentify": "checked", "send_to": ["research"]},
        {"name": "chosen", "send_to": [{"from_table": {"table": "known.csv", "tag": "PatientID"}}]},
        {"name": "plain", "send_to": ["refuses", "no-folder", "by-name", "gone"]},
    ]
    folders = [*EDITS, "research", "known"]
    destinations: list[dict[str, object]] = [
        {"name": name, "folder": {"path": f"out/{name}", "layout": "{SOPInstanceUID}"}}
        for name in folders
    ]
    retry = {"first": "200ms", "most": "1s", "object_attempts": 2}
    layout = "{PatientName}" * 30 + "/{SOPInstanceUID}"
    destinations += [
        dicom("refuses", peer, timeouts={"connect": "2s"}) | {"retry": retry},
        dicom("gone", free_port()),
        {"name": "no-folder", "folder": {"path": "file/below"}},
        {"name": "by-name", "folder": {"path": "out/by-name", "layout": layout}},
    ]
    router = RouterUnderTest(
        folder,
        destinations=destinations,
        forked=False,
        routes=routes,
        keys={"study": "0123456789abcdef"},
        sources=[{"name": "ct", "ae_title": "CT01"}, {"name": "here", "hosts": ["127.0.0.1"]}],
        log={"level": "debug"},
        loops={"receptions": 100},
    )
    (folder / "rules" / "known.csv").write_text("id,destination\nsomebody,known\n")
    profile = "profiles: {checked: {key: study, verify: all}}\n"
    (folder / "rules" / "profiles.yaml").write_text(profile)
    return router


def ledger_texts(router: RouterUnderTest) -> Iterator[tuple[str, str]]:
    """Every text in the ledger, with its table and column, but those that are kept on purpose."""
    engine = create_engine(router.ledger_url)
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            kept = FOR_LOOKING_UP.get(table, set())
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
                yield from (
                    (f"{table}.{name}", str(v)) for name, v in row.items() if name not in kept
                )
    engine.dispose()


def processes(router: RouterUnderTest) -> Iterator[str]:
    """Command lines, names and environments of the router's processes and their children."""
    family = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in family.stdout.splitlines()[1:]]
    pids = {program.pid for program in router.programs}
    pids |= {pid for pid, parent in pairs if parent in pids}
    for pid in pids:
        for what in ("cmdline", "comm", "environ"):
            try:
                yield Path(f"/proc/{pid}/{what}").read_text(errors="replace")
            except OSError:
                continue  # it has ended meanwhile


def commands(router: RouterUnderTest) -> Iterator[str]:
    """What commands say that show no object's values."""
    for words in ("queue", "queue list -n 500", "queue objects held", "queue objects failed"):
        command = [str(DICOM_ROUTER), *words.split(), "--config", str(router.folder / "site.yaml")]
        yield subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_planted_name_appears_in_no_output(tmp_path: Path) -> None:
    def refuse(_: str) -> Answer:
        return Answer(status=0xC000, comment=f"{PLANTED}^Jane is unknown here")

    with RecordingScp(refuse) as peer, site_of(tmp_path, peer.port) as router:
        stored = send_all(router.port)
        assert stored >= 12
        associate(router.port, EXPLICIT, title=STRANGER).release()
        open_work = "SELECT count(*) FROM objects WHERE state = 'received'"
        received = "SELECT count(*) FROM objects WHERE derived_from IS NULL"
        wait_until(lambda: router.count(received) == stored, "intake")
        wait_until(lambda: router.count(open_work) == 0, "routing")
        failures = "SELECT count(DISTINCT destination) FROM deliveries WHERE reason IS NOT NULL"
        wait_until(lambda: router.count(failures) >= 4, "every kind of failure to deliver")

        said = "".join(program.output() for program in router.programs)
        address = f"http://127.0.0.1:{router.metrics_port}/metrics"
        with urllib.request.urlopen(address) as answer:
            measured = answer.read().decode()
        assert all(event in said for event in ("edit failed", "not delivered", "object refused"))
        assert [line for line in said.splitlines() if PLANTED in line] == []
        figures = [line for line in measured.splitlines() if PLANTED in line or STRANGER in line]
        assert figures == []
        assert 'dicom_router_source_associations_total{source="here"} 1.0' in measured
        assert [place for place, value in ledger_texts(router) if PLANTED in value] == []
        assert [found for found in processes(router) if PLANTED in found] == []
        assert [found for found in commands(router) if PLANTED in found] == []
        names = [str(path) for path in tmp_path.rglob("*") if "by-name" not in path.parts]
        assert [name for name in names if PLANTED in name] == []

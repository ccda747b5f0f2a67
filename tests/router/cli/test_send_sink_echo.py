"""`send`, `sink` and `echo` as a user runs them, against each other and other makers' programs."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

from router.dicom.part10 import FileMeta, encode_file_meta, read_file_meta
from tests.programs import Program, RouterProgram, free_port, needed

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

StartSink = Callable[..., "RunningSink"]


class RunningSink:
    """`dicom-router sink` as a process."""

    def __init__(self, port: int, program: Program) -> None:
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self._program = program

    def stop(self) -> dict[str, Any]:
        """End it by SIGTERM; return what it said on the way."""
        assert self._program.stop() == 0
        return self.said()

    def said(self) -> dict[str, Any]:
        output = self._program.output()
        said: dict[str, Any] = json.loads(output[output.index("{") :])
        return said

    def interrupt(self) -> int:
        self._program.process.send_signal(signal.SIGINT)
        return self._program.process.wait(20)

    def wait(self) -> int:
        return self._program.process.wait(20)


@pytest.fixture
def start_sink(tmp_path: Path) -> Iterator[StartSink]:
    programs: list[Program] = []

    def start(*words: object) -> RunningSink:
        port = free_port()
        common = ["--bind", "127.0.0.1", "--port", str(port), "--json"]
        command = ["dicom-router", "sink", *common, *map(str, words)]
        programs.append(RouterProgram(command, tmp_path / f"sink{len(programs)}.log"))
        programs[-1].wait_for_port(port)
        return RunningSink(port, programs[-1])

    yield start
    for program in programs:
        program.stop()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Ten objects of 1 KB in a folder, and a file that is none."""
    folder = tmp_path / "files"
    for number in range(10):
        place = folder / f"series{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        meta = FileMeta(
            media_storage_sop_class_uid=CT,
            media_storage_sop_instance_uid=f"1.2.3.{number}",
            transfer_syntax_uid=EXPLICIT,
        )
        data = bytes([8, 0, number, 0]) * 256
        (place / f"{number}.dcm").write_bytes(encode_file_meta(meta) + data)
    (folder / "README").write_text("not DICOM" * 50)
    return folder


def data_sets(folder: Path) -> list[bytes]:
    contents = [path.read_bytes() for path in sorted(folder.rglob("*.dcm"))]
    return sorted(content[read_file_meta(content)[1] :] for content in contents)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_folder_arrives_byte_for_byte(call: Any, start_sink, files, tmp_path: Path, jobs: int):
    kept = tmp_path / "kept"
    sink = start_sink("--into", kept)
    said = call("send", files, "--to", sink.address, "-j", jobs)
    assert said.code == 0
    assert said.out.startswith(f"10 sent to {sink.address}, 1 passed over: 10.2 KB in ")
    assert "README: not a DICOM file" in said.err
    assert data_sets(kept) == data_sets(files)
    assert min(path.name for path in kept.iterdir()) == "1.2.3.0.dcm"
    totals = sink.stop()
    assert (totals["objects"], totals["bytes"]) == (10, 10240)
    assert totals["statuses"] == {"0000": 10}
    assert totals["associations"] <= jobs


def test_what_went_wrong_is_told_for_each_object(call: Any, start_sink, files):
    sink = start_sink("--status", "0xA700", "--status-every", "4")
    said = call("send", files, "--to", sink.address, "--json")
    assert said.code == 1
    report = json.loads(said.out)
    assert (report["sent"], report["failed"], report["skipped"]) == (8, 2, 1)
    assert {failure["reason"] for failure in report["failures"]} == {"status_A700"}
    assert sink.stop()["statuses"] == {"0000": 8, "A700": 2}


def test_warnings_are_deliveries(call: Any, start_sink, files):
    sink = start_sink("--status", "b000")
    said = call("send", files, "--to", sink.address)
    assert said.code == 0
    assert said.out.startswith(f"10 sent to {sink.address} (10 with a warning), 1 passed")


def test_an_abort_costs_one_object(call: Any, start_sink, files):
    sink = start_sink("--abort-every", "4")
    report = json.loads(call("send", files, "--to", sink.address, "--json").out)
    assert (report["sent"], report["failed"], report["associations"]) == (8, 2, 3)
    assert sink.stop()["statuses"] == {"0000": 8, "aborted": 2}


def test_a_peer_that_rejects_is_not_asked_for_ever(call: Any, start_sink, files):
    sink = start_sink("--reject", "congestion")
    said = call("send", files, "--to", sink.address)
    assert said.code == 1
    assert "rejected for now: temporary congestion" in said.err
    assert "7 more, not tried" in said.err
    assert sink.stop()["rejected"] == 3


def test_a_sink_that_minds_its_name(call: Any, start_sink):
    sink = start_sink("--as", "SINK")
    assert call("echo", sink.address, "--called", "SINK").code == 0
    assert "called ae title not recognized" in call("echo", sink.address).err


def test_until_ends_it_after_its_last_answer(call: Any, start_sink, files):
    sink = start_sink("--until", "10", "--delay", "0.01")
    assert call("send", files, "--to", sink.address).code == 0
    assert sink.wait() == 0
    assert sink.said()["objects"] == 10


def test_ctrl_c_ends_it_in_peace(start_sink):
    sink = start_sink()
    assert sink.interrupt() == 0
    assert sink.said()["objects"] == 0


def test_ctrl_c_while_sending_tells_what_was_not_sent(files, tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as peer:
        address = f"127.0.0.1:{peer.getsockname()[1]}"
        words = ["send", str(files), "--to", address, "--json"]
        program = RouterProgram(["dicom-router", *words], tmp_path / "send.log")
        connection, _ = peer.accept()
        with connection:
            program.process.send_signal(signal.SIGINT)
            assert connection.recv(1)  # the request; it never gets an answer
    assert program.process.wait(20) == 1
    output = program.output()
    report = json.loads(output[output.index("{") :])
    assert (report["sent"], report["failed"]) == (0, 10)
    assert report["failures"][-1]["reason"] == "not_tried"
    program.stop()


def test_more_pairs_than_an_association_can_propose(call: Any, start_sink, tmp_path: Path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(130):
        meta = FileMeta(
            media_storage_sop_class_uid=f"1.2.3.4.{number}",
            media_storage_sop_instance_uid=f"1.2.3.{number}",
            transfer_syntax_uid=EXPLICIT,
        )
        (folder / f"{number}").write_bytes(encode_file_meta(meta) + b"ab")
    sink = start_sink()
    report = json.loads(call("send", folder, "--to", sink.address, "--json").out)
    assert (report["sent"], report["failed"], report["associations"]) == (130, 0, 2)


@pytest.mark.interop
def test_a_peer_that_does_not_take_the_transfer_syntax(call: Any, tmp_path: Path):
    port = free_port()
    command = (needed("storescp"), "--ignore", str(port))
    program = Program(command, tmp_path / "log")
    program.wait_for_port(port)
    names = ("JPEG2000.dcm", "CT_small.dcm")
    paths = [get_testdata_file(name) for name in names]
    said = call("send", *paths, "--to", f"127.0.0.1:{port}")
    program.stop()
    assert said.code == 1
    assert said.out.startswith(f"1 sent to 127.0.0.1:{port}, 1 failed")
    assert "the peer does not take" in said.err


@pytest.mark.interop
def test_files_of_a_sink_are_read_by_others(start_sink, tmp_path: Path):
    kept = tmp_path / "kept"
    sink = start_sink("--into", kept)
    image = Path(str(get_testdata_file("CT_small.dcm")))
    command = [needed("storescu"), "-aet", "SENDER", "127.0.0.1", str(sink.port), str(image)]
    assert subprocess.run(command, timeout=30).returncode == 0
    (file,) = kept.iterdir()
    got, sent = pydicom.dcmread(file), pydicom.dcmread(image)
    assert got.PixelData == sent.PixelData
    assert got.file_meta.SourceApplicationEntityTitle == "SENDER"


@pytest.mark.parametrize("address", ["nowhere:x", "a:b:c", ":104", "host:0", "host:70000"])
def test_an_address_that_is_none_is_a_usage_error(call: Any, files, address: str):
    said = call("send", files, "--to", address)
    assert said.code == 2
    assert "expected host:port" in said.err


def test_a_status_that_is_none_is_a_usage_error(call: Any):
    assert call("sink", "--status", "full").code == 2


def test_send_imports_nothing_it_can_do_without(start_sink, files):
    sink = start_sink()
    script = (
        "import sys\n"
        "from router.cli import app\n"
        f"words = ['send', {str(files)!r}, '--to', {sink.address!r}, '--json']\n"
        "try:\n    app(words)\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert json.loads(done.stdout)["sent"] == 10
    slow = {"pydicom", "numpy", "yaml", "rich", "structlog", "sqlalchemy", "prometheus_client"}
    assert slow & set(done.stderr.split()) == set()


@pytest.mark.parametrize("title", ["", "  ", "seventeen letters", "BACK\\SLASH", "LÖWE"])
def test_what_is_no_ae_title_is_told(call: Any, files, title: str):
    said = call("send", files, "--to", "127.0.0.1:104", "--called", title)
    assert said.code == 2
    assert "is no AE title: 1 to 16 characters" in said.err


def test_nothing_to_send_is_a_failure(call: Any, tmp_path: Path):
    (tmp_path / "notes").write_text("not DICOM" * 50)
    said = call("send", tmp_path, "--to", "127.0.0.1:104")
    assert said.code == 1
    assert "no DICOM file to send" in said.err


def test_a_port_that_is_taken(call: Any, start_sink):
    said = call("sink", "--bind", "127.0.0.1", "--port", start_sink().port)
    assert said.code == 1
    assert "cannot listen" in said.err


# echo


@pytest.fixture
def site(tmp_path: Path) -> Callable[[int], Path]:
    def write(port: int) -> Path:
        path = tmp_path / "site.yaml"
        path.write_text(
            "listeners: [{name: main, ae_title: ROUTER}]\n"
            "destinations:\n"
            f"  - {{name: pacs, dicom: {{ae_title: PACS, host: 127.0.0.1, port: {port}}}}}\n"
            "  - {name: research, folder: {path: out}}\n"
        )
        return path

    return write


def test_echo_asks_a_destination_by_its_name(call: Any, start_sink, site):
    sink = start_sink("--as", "PACS")
    said = call("echo", "pacs", "-c", site(sink.port))
    assert said.code == 0
    assert said.out.startswith("pacs answers with status 0000 in ")
    answer = json.loads(call("echo", "pacs", "-c", site(sink.port), "--json").out)
    assert (answer["peer"], answer["ok"], answer["status"]) == ("pacs", True, 0)


def test_echo_says_why_there_is_no_answer(call: Any, site):
    port = free_port()
    said = call("echo", "pacs", "-c", site(port))
    assert (said.code, said.err) == (1, "pacs does not answer: connection refused\n")
    answer = json.loads(call("echo", f"127.0.0.1:{port}", "--json").out)
    assert (answer["ok"], answer["reason"]) == (False, "connect_refused")


def test_echo_knows_what_has_no_echo(call: Any, site):
    assert "is a folder" in call("echo", "research", "-c", site(104)).err
    said = call("echo", "pcas", "-c", site(104))
    assert said.code == 2
    assert "no destination pcas (there are: pacs, research)" in said.err


def test_echo_with_tls_options_speaks_tls(call: Any, start_sink):
    said = call("echo", start_sink().address, "--tls", "--timeout", "2")
    assert said.code == 1
    assert "no TLS session" in said.err

"""What goes over the wire on this machine, as tshark's DICOM dissector understands it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.programs import Program, free_port, missing, needed, wait_until

#: PS3.8 9.3
PDUS = {
    1: "A-ASSOCIATE-RQ",
    2: "A-ASSOCIATE-AC",
    3: "A-ASSOCIATE-RJ",
    4: "P-DATA-TF",
    5: "A-RELEASE-RQ",
    6: "A-RELEASE-RP",
    7: "A-ABORT",
}
FIELDS = (
    "frame.number", "tcp.stream", "tcp.srcport", "tcp.dstport", "dicom.pdu.type", "dicom.pdu.len",
    "dicom.pctx.xfer.syntax", "_ws.malformed", "_ws.expert.severity", "_ws.expert.message",
)  # fmt: skip
WARNING = 0x600000
#: What TCP thinks of a busy loopback is not DICOM's.
QUIET = ("-o", "tcp.analyze_sequence_numbers:FALSE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame in which the dissector found the end of one PDU or more."""

    number: int
    conversation: int
    source: int
    target: int
    pdus: tuple[str, ...]
    lengths: tuple[int, ...]
    syntaxes: tuple[str, ...]
    complaints: tuple[str, ...]


class Capture:
    """Captures these TCP ports on the loopback interface from `__enter__` to `__exit__`."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.file = folder / "capture.pcapng"
        self._ports = ports
        self._tshark = needed("tshark")
        self._bell = free_port()  # datagrams to it mark the beginning and the end
        self._log = folder / "tshark.log"

    def __enter__(self) -> Capture:
        wanted = " or ".join(f"tcp port {port}" for port in self._ports)
        wanted += f" or udp port {self._bell}"
        buffer = ("-B", "64")  # megabytes: nothing is dropped while tshark waits for its turn
        self._program = Program(
            [self._tshark, "-i", "lo", *buffer, "-f", wanted, "-w", self.file, "-q"], self._log
        )
        try:
            self._ring_until_heard(b"the beginning")
        except AssertionError:
            if self._program.running():
                self._program.kill()
            raise missing(f"tshark cannot capture: {self._program.output()[-500:]}") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, if it has not ended before."""
        if self._program.running():
            self._ring_until_heard(b"the end")
            os.kill(self._program.pid, signal.SIGINT)
            self._program.process.wait(30)

    def _ring_until_heard(self, word: bytes) -> None:
        def heard() -> bool:
            if not self._program.running():
                raise AssertionError(self._program.output())
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
                bell.sendto(word, ("127.0.0.1", self._bell))
            return self.file.exists() and word in self.file.read_bytes()[-65536:]

        wait_until(heard, "tshark to capture")

    def frames(self) -> list[Frame]:
        """What the DICOM dissector makes of every frame."""
        decode = [word for port in self._ports for word in ("-d", f"tcp.port=={port},dicom")]
        fields = [word for field in FIELDS for word in ("-e", field)]
        table = ["-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"]
        done = subprocess.run(
            [self._tshark, "-r", self.file, *QUIET, *decode, "-Y", "dicom", *table, *fields],
            capture_output=True,
            text=True,
            check=True,
        )
        return [_frame(line.split("\t")) for line in done.stdout.splitlines()]


def _frame(cells: list[str]) -> Frame:
    number, stream, source, target, types, lengths, syntaxes, malformed, severities, words = cells
    heard = zip(_several(severities), _several(words), strict=False)
    complaints = [word for severity, word in heard if int(severity, 0) >= WARNING]
    return Frame(
        number=int(number),
        conversation=int(stream),
        source=int(source),
        target=int(target),
        pdus=tuple(PDUS[int(kind, 0)] for kind in _several(types)),
        lengths=tuple(int(length) for length in _several(lengths)),
        syntaxes=_several(syntaxes),
        complaints=(*complaints, *_several(malformed)),
    )


def _several(cell: str) -> tuple[str, ...]:
    return tuple(part for part in cell.split("|") if part)

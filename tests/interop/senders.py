"""Storage SCUs of several makers, each run once for a portion of objects."""

import json
import os
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from tests.interop import corpus
from tests.interop.corpus import Specimen
from tests.interop.receivers import HERE
from tests.programs import RouterProgram, needed

SECONDS = 120


class Sender(ABC):
    """A Storage SCU. It sends each object in the transfer syntax that it is stored in."""

    name: str
    #: Whether what it sends is exactly the bytes that the file holds.
    exact = False

    @abstractmethod
    def send(self, specimens: Sequence[Specimen], port: int, called: str) -> None:
        """Send all of them to 127.0.0.1, going on behind those that it cannot read or send.

        What it prints and exits with counts only where it promises to send everything (`exact`):
        the other makers' programs find fault with files that are broken on purpose.
        """

    def offers(self, specimen: Specimen) -> bool:
        """Whether it can send this object in its own syntax."""
        return True

    def run(
        self,
        command: Sequence[str | Path],
        *,
        given: str = "",
        environ: dict[str, str] | None = None,
        strict: bool = False,
    ) -> str:
        """Run a program to its end; its standard output. `strict`: it must exit with 0."""
        done = subprocess.run(
            [str(word) for word in command],
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env={**os.environ, **(environ or {})},
        )
        words = done.stdout[-3000:] + done.stderr[-3000:]
        assert done.returncode == 0 or not strict, f"{command[0]}: {done.returncode}\n{words}"
        return done.stdout


class Storescu(Sender):
    """DCMTK's storescu: one run for each syntax, with the option that proposes it."""

    name = "storescu"

    def send(self, specimens: Sequence[Specimen], port: int, called: str) -> None:
        for option, some in _by_syntax(specimens):
            files = [specimen.path for specimen in some]
            titles = ["-aet", "STORESCU", "-aec", called]
            self.run(
                [needed("storescu"), "-R", "-nh", option, *titles, "127.0.0.1", str(port), *files],
                environ={"TCP_NODELAY": "1"},
            )

    def offers(self, specimen: Specimen) -> bool:
        return specimen.transfer_syntax_uid in STORESCU_OPTIONS


class Dcmsend(Sender):
    """DCMTK's dcmsend: it proposes what the files are in, and never decompresses."""

    name = "dcmsend"

    def send(self, specimens: Sequence[Specimen], port: int, called: str) -> None:
        titles = ["-aet", "DCMSEND", "-aec", called]
        files = [specimen.path for specimen in specimens]
        self.run(
            [needed("dcmsend"), "-dn", "-nuc", "-nh", *titles, "127.0.0.1", str(port), *files],
            environ={"TCP_NODELAY": "1"},
        )

    def offers(self, specimen: Specimen) -> bool:
        # It announces what the meta information says, which the router refuses as A900 when the
        # data set says otherwise, and misreads two that are written with VR UN.
        return specimen.consistent and specimen.name not in WRITTEN_AS_UN


class Pynetdicom(Sender):
    """pynetdicom in a process of its own, made to send the bytes as they lie in the file."""

    name = "pynetdicom"
    exact = True

    def send(self, specimens: Sequence[Specimen], port: int, called: str) -> None:
        statuses = self.statuses(specimens, port, called)
        refused = [
            (specimen.name, status)
            for specimen, status in zip(specimens, statuses, strict=True)
            if status != 0
        ]
        assert not refused, refused

    def statuses(self, specimens: Sequence[Specimen], port: int, called: str) -> list[int | None]:
        """The status that each object was answered with; None where no answer came."""
        items = [
            {
                "path": str(specimen.path),
                "offset": specimen.offset,
                "sop_class_uid": specimen.sop_class_uid,
                "sop_instance_uid": specimen.sop_instance_uid,
                "transfer_syntax_uid": specimen.transfer_syntax_uid,
            }
            for specimen in specimens
        ]
        script = HERE / "pynetdicom_send.py"
        command: list[str | Path] = [sys.executable, script, "127.0.0.1", str(port), called]
        answer: list[int | None] = json.loads(
            self.run(command, given=json.dumps(items), strict=True)
        )
        return answer


class SendImage(Sender):
    """CTN's send_image: it proposes Implicit Little Endian, and converts to it."""

    name = "ctn"

    def send(self, specimens: Sequence[Specimen], port: int, called: str) -> None:
        files = [specimen.path for specimen in specimens]
        titles = ["-a", "CTN", "-c", called]
        self.run([needed("send_image"), "-q", *titles, "127.0.0.1", str(port), *files])

    def offers(self, specimen: Specimen) -> bool:
        return specimen.transfer_syntax_uid == corpus.IMPLICIT_LE


class OurSend(Sender):
    """Our own `dicom-router send`."""

    name = "send"
    exact = True

    def send(self, specimens: Sequence[Specimen], port: int, called: str) -> None:
        files = [specimen.path for specimen in specimens]
        titles = ["--as", "SEND", "--called", called]
        command: list[str | Path] = ["dicom-router", "send", *files, "--json"]
        command += ["--to", f"127.0.0.1:{port}", *titles]
        with tempfile.TemporaryDirectory() as folder:
            program = RouterProgram(command, Path(folder, "log"))
            assert program.process.wait(SECONDS) == 0, program.output()[-3000:]

    def offers(self, specimen: Specimen) -> bool:
        return specimen.consistent  # as dcmsend


def _by_syntax(specimens: Sequence[Specimen]) -> Iterator[tuple[str, list[Specimen]]]:
    def option(specimen: Specimen) -> str:
        return STORESCU_OPTIONS[specimen.transfer_syntax_uid]

    for found, some in groupby(sorted(specimens, key=option), key=option):
        yield found, list(some)


#: Which of storescu's options proposes a transfer syntax.
STORESCU_OPTIONS = {
    corpus.IMPLICIT_LE: "-xi",
    corpus.EXPLICIT_LE: "-xe",
    corpus.EXPLICIT_BE: "-xb",
    corpus.DEFLATED: "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}

#: Their class and instance are written as UN: dcmsend announces both as "31".
WRITTEN_AS_UN = frozenset({"rtdose_rle.dcm", "rtdose_rle_1frame.dcm"})

SENDERS: tuple[type[Sender], ...] = (Storescu, Dcmsend, Pynetdicom, OurSend, SendImage)

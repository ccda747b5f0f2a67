"""Storage SCPs of several makers, each as a process that keeps what it receives."""

import json
import shutil
import sys
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.interop import corpus
from tests.interop.corpus import Specimen
from tests.programs import Program, free_port, missing, needed

HERE = Path(__file__).parent
DCMJS = HERE.parents[1] / ".peers" / "dcmjs-dimse" / "node_modules"


class Receiver(ABC):
    """A Storage SCP that is running."""

    #: What a test calls it; in capitals it is the AE title.
    name: str
    #: Whether what it keeps is exactly the bytes that it received.
    exact = True
    #: How many associations it serves at once.
    associations = 2

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept = folder / "kept"
        self.kept.mkdir(parents=True)
        self.port = free_port()
        self.program = Program(self.command(), folder / "log.txt", self.environ())
        self.program.wait_for_port(self.port)

    @property
    def ae_title(self) -> str:
        return self.name.upper()

    @abstractmethod
    def command(self) -> list[str | Path]:
        """What starts it on `port`, keeping files in `kept`."""

    def environ(self) -> dict[str, str]:
        return {}

    def takes(self, specimen: Specimen) -> bool:
        """Whether it accepts this object's class and transfer syntax."""
        return True

    def batches(self, specimens: Iterable[Specimen]) -> Iterator[list[Specimen]]:
        """The objects in portions of which it keeps every one."""
        yield list(specimens)

    def received(self) -> list[Specimen]:
        """What it has kept since the last `forget`."""
        return [corpus.received_file(path) for path in self.kept_files()]

    def kept_files(self) -> list[Path]:
        return sorted(path for path in self.kept.rglob("*") if path.is_file())

    def count(self) -> int:
        return len(self.kept_files())

    def forget(self) -> None:
        for path in self.kept.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def stop(self) -> None:
        self.program.stop()


class Storescp(Receiver):
    """DCMTK, told to write data sets as they come and to take all the syntaxes it knows."""

    name = "storescp"

    def command(self) -> list[str | Path]:
        options = ["+B", "+xa", "--promiscuous", "--unique-filenames", "--fork", "-pdu", "131072"]
        place: list[str | Path] = ["-aet", self.ae_title, "-od", self.kept]
        return [needed("storescp"), *options, *place, str(self.port)]

    def environ(self) -> dict[str, str]:
        return {"TCP_NODELAY": "1"}


class StorescpAsShipped(Storescp):
    """DCMTK without options: uncompressed syntaxes alone, and Nagle's algorithm on."""

    name = "storescp_plain"
    associations = 1

    def command(self) -> list[str | Path]:
        options: list[str | Path] = [
            "+B",
            "--unique-filenames",
            "-aet",
            self.ae_title,
            "-od",
            self.kept,
        ]
        return [needed("storescp"), *options, str(self.port)]

    def environ(self) -> dict[str, str]:
        return {}

    def takes(self, specimen: Specimen) -> bool:
        return specimen.transfer_syntax_uid in corpus.UNCOMPRESSED


#: It aborts on odd and on cut-off elements, and cannot understand a SOP class written as UN.
ORTHANC_CANNOT_STORE = frozenset(
    {"SC_rgb_jpeg.dcm", "rtdose_rle.dcm", "rtdose_rle_1frame.dcm"}
    | {"rtplan_truncated.dcm", "MR_truncated.dcm"}
)


class Orthanc(Receiver):
    """Orthanc: it decodes and writes anew what it gets, and keeps one copy of a SOP instance."""

    name = "orthanc"
    exact = False

    def command(self) -> list[str | Path]:
        self.http_port = free_port()
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps(self._settings()))
        return [needed("Orthanc"), config]

    def _settings(self) -> dict[str, object]:
        return {
            "Name": "interop",
            "DicomAet": self.ae_title,
            "DicomPort": self.port,
            "HttpPort": self.http_port,
            "HttpServerEnabled": True,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "index"),
            "UnknownSopClassAccepted": True,
            "StorageCompression": False,
            "SyncStorageArea": False,
            "DicomCheckCalledAet": False,
            "TcpNoDelay": True,
            "Plugins": [],
        }

    def takes(self, specimen: Specimen) -> bool:
        # With or without a router: it agrees to near-lossless JPEG-LS, then answers A700 to each
        # such object, since its own rewriting of the file fails.
        return (
            specimen.transfer_syntax_uid != corpus.JPEG_LS_NEAR_LOSSLESS
            and specimen.name not in ORTHANC_CANNOT_STORE
        )

    def batches(self, specimens: Iterable[Specimen]) -> Iterator[list[Specimen]]:
        yield from corpus.rounds(specimens)

    def received(self) -> list[Specimen]:
        found = []
        for instance in json.loads(self._ask("GET", "/instances")):
            path = self.kept / f"{instance}.dcm"
            path.write_bytes(self._ask("GET", f"/instances/{instance}/file"))
            found.append(corpus.received_file(path))
            path.unlink()
        return found

    def count(self) -> int:
        count: int = json.loads(self._ask("GET", "/statistics"))["CountInstances"]
        return count

    def forget(self) -> None:
        for patient in json.loads(self._ask("GET", "/patients")):
            self._ask("DELETE", f"/patients/{patient}")

    def _ask(self, method: str, path: str) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urllib.request.urlopen(
            urllib.request.Request(url, method=method), timeout=30
        ) as reply:
            answer: bytes = reply.read()
            return answer


class Pynetdicom(Receiver):
    """pynetdicom in a process of its own, taking every class and syntax."""

    name = "pynetdicom"

    def command(self) -> list[str | Path]:
        script = HERE / "pynetdicom_receive.py"
        return [sys.executable, script, str(self.port), self.ae_title, self.kept]


class Dcmjs(Receiver):
    """dcmjs-dimse on node, its store stream kept undecoded."""

    name = "dcmjs"

    def command(self) -> list[str | Path]:
        if not DCMJS.is_dir():
            raise missing("dcmjs-dimse is not installed (scripts/install_peers.sh installs it)")
        return [needed("node"), HERE / "dcmjs" / "receive.js", str(self.port), self.kept]

    def environ(self) -> dict[str, str]:
        return {"NODE_PATH": str(DCMJS)}


class Sink(Receiver):
    """Our own `dicom-router sink`: its files are named for the SOP instance."""

    name = "sink"

    def batches(self, specimens: Iterable[Specimen]) -> Iterator[list[Specimen]]:
        yield from corpus.rounds(specimens)

    def command(self) -> list[str | Path]:
        router = Path(sys.executable).with_name("dicom-router")
        return [router, "sink", "--port", str(self.port), "--into", self.kept]


RECEIVERS: tuple[type[Receiver], ...] = (
    Storescp, StorescpAsShipped, Orthanc, Sink, Pynetdicom, Dcmjs,
)  # fmt: skip

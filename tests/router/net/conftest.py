"""Connections, listeners and certificates for tests of the shells."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.dicom.association import Association
from router.dicom.limits import Timers
from router.dicom.negotiation import Acceptance
from router.net.acceptor import Acceptor
from router.net.connection import Connection, Patience
from router.net.storage_scp import serve_storage
from router.net.wire import Wire
from tests.router.net.material import NOBODY, Certificates, Ends, Listen, Shelf, tcp_pair


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def listen(shelf: Shelf) -> Iterator[Listen]:
    """Starts a listener; by default a storage SCP that fills the shelf. It ends with the test."""
    started: list[Acceptor] = []

    def start(
        serve: Callable[[Connection], None] | None = None,
        *,
        acceptance: Acceptance | None = None,
        **settings: object,
    ) -> Acceptor:
        def store(connection: Connection) -> None:
            serve_storage(connection, shelf.receive, acceptance=acceptance)

        acceptor = Acceptor(host="127.0.0.1", port=0, serve=serve or store, **settings)  # type: ignore[arg-type]
        acceptor.start()
        started.append(acceptor)
        return acceptor

    yield start
    for acceptor in started:
        acceptor.close()


@pytest.fixture
def ends() -> Iterator[Callable[..., Ends]]:
    made: list[Ends] = []

    def make(patience: Patience | None = None, timers: Timers | None = None) -> Ends:
        ours, theirs = tcp_pair()
        association = Association.acceptor(now=0.0, timers=timers)
        made.append(
            Ends(Connection(Wire(ours), association, peer=NOBODY, patience=patience), theirs)
        )
        return made[-1]

    yield make
    for each in made:
        each.socket.close()
        each.connection.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    _authority(folder, "ca")
    _authority(folder, "other")
    _signed(folder, "server", "/CN=localhost", "DNS:localhost,IP:127.0.0.1")
    _signed(folder, "client", "/O=Hospital/CN=ct01", "DNS:ct01")
    return Certificates(
        ca=folder / "ca.pem",
        server=folder / "server.pem",
        server_key=folder / "server.key",
        client=folder / "client.pem",
        client_key=folder / "client.key",
        other_ca=folder / "other.pem",
    )


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _authority(folder: Path, name: str) -> None:
    _openssl(
        *("req", "-x509", *_KEY, "-subj", f"/CN={name}", "-days", "2"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
    )


def _signed(folder: Path, name: str, subject: str, names: str) -> None:
    request = folder / f"{name}.csr"
    _openssl(
        "req", "-new", *_KEY, "-subj", subject, "-keyout", folder / f"{name}.key", "-out", request
    )
    extensions = folder / f"{name}.ext"
    extensions.write_text(f"subjectAltName={names}\n")
    _openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", extensions),
        *("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial"),
        *("-out", folder / f"{name}.pem"),
    )


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)

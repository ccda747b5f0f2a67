"""Connections, listeners and certificates for tests of the shells."""

from collections.abc import Callable, Iterator

import pytest

from router.dicom.association import Association
from router.dicom.limits import Timers
from router.dicom.negotiation import Acceptance
from router.net.acceptor import Acceptor
from router.net.connection import Connection, Patience
from router.net.storage_scp import serve_storage
from router.net.wire import Wire
from tests.certificates import Certificates, make_certificates
from tests.router.net.material import NOBODY, Ends, Listen, Shelf, tcp_pair


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
    return make_certificates(tmp_path_factory.mktemp("certificates"))

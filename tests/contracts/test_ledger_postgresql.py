"""PostgreSQL as it is in the world: killed, restarted, in the way, reached over TLS."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.engine import URL

from router.ledger import (
    Ledger,
    LedgerBusy,
    LedgerRefused,
    LedgerUnavailable,
    destinations,
    history,
    objects,
)
from router.ledger.models import DESTINATIONS
from tests.certificates import Certificates
from tests.servers import PostgreSql, postgresql


@pytest.fixture
def server_ledger(postgresql, postgresql_template) -> Iterator[Ledger]:
    ledger = Ledger(postgresql.new_database(postgresql_template))
    yield ledger
    ledger.dispose()


@pytest.fixture
def ledger(server_ledger: Ledger) -> Ledger:
    """What stories are told on: no other database here."""
    return server_ledger


def with_query(ledger: Ledger, **query: str) -> URL:
    return ledger.url.update_query_dict(query)


def shown(conn: Connection, *names: str) -> list[str]:
    return [str(conn.execute(text(f"SHOW {name}")).scalar()) for name in names]


def at_once(*acts: Callable[[], object]) -> list[Exception]:
    """Run all of them in threads; what they raised."""
    raised: list[Exception] = []

    def run(act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001
            raised.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


class TestUrl:
    """Everything about a connection is said in the URL."""

    NAMES = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")

    def test_no_statement_lock_or_idle_transaction_lasts_for_ever(self, server_ledger: Ledger):
        with server_ledger.read() as conn:
            assert shown(conn, *self.NAMES) == ["2min", "30s", "1min"]
            assert shown(conn, "application_name") == ["dicom-router"]

    def test_options_win_and_leave_the_others(self, server_ledger: Ledger):
        url = with_query(
            server_ledger, options="-c statement_timeout=7000", application_name="night"
        )
        ledger = Ledger(url)
        with ledger.read() as conn:
            assert shown(conn, *self.NAMES) == ["7s", "30s", "1min"]
            assert shown(conn, "application_name") == ["night"]
        ledger.dispose()

    def test_a_process_opens_no_more_connections_than_it_may(self, server_ledger: Ledger):
        ledger = Ledger(with_query(server_ledger, connections="3"))
        open_at_once: list[int] = []

        def act() -> None:
            with ledger.read() as conn:
                count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                conn.execute(text("SELECT pg_sleep(0.05)"))
                open_at_once.append(conn.execute(text(count)).scalar() or 0)

        assert at_once(*[act] * 9) == []
        assert len(open_at_once) == 9
        assert max(open_at_once) == 3
        ledger.dispose()

    @pytest.mark.parametrize("words", ["0", "many", "1001"])
    def test_connections_is_a_number(self, server_ledger: Ledger, words):
        with pytest.raises(LedgerRefused, match="`connections`"):
            Ledger(with_query(server_ledger, connections=words))

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql+psycopg://anna:hunter2@127.0.0.1:1/ledger",
            "postgresql+psycopg://anna:hunter2@127.0.0.1:port/ledger",
            "postgresql+psycopg://anna:hunter2@127.0.0.1:1/ledger?nonsense=1",
            "postgresql+psycopg//anna:hunter2@host",
        ],
    )
    def test_the_password_is_in_no_error_and_no_representation(self, url):
        with pytest.raises((LedgerRefused, LedgerUnavailable)) as caught:  # noqa: PT012
            ledger = Ledger(url)
            assert "hunter2" not in f"{ledger!r} {ledger.url!r}"
            ledger.check()
        told: BaseException | None = caught.value
        assert "hunter2" not in repr(told)
        assert told is not None
        assert told.__cause__ is None


class TestTls:
    """`sslmode=verify-full`: who may be the ledger, and whom it lets in."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, server_certificates: Certificates) -> Iterator[PostgreSql]:
        with postgresql(server_certificates) as running:
            yield running

    def reached(self, server: PostgreSql, user: str = "ledger", **query: object) -> str:
        """Whose certificate the server saw on a connection that it encrypted; empty: nobody's."""
        verified = {"sslmode": "verify-full"} | {name: str(value) for name, value in query.items()}
        ledger = Ledger(server.url.set(username=user).update_query_dict(verified))
        try:
            with ledger.read() as conn:
                asked = "SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
                encrypted, subject = conn.execute(text(asked)).one()
        finally:
            ledger.dispose()
        assert encrypted
        return subject or ""

    def test_a_server_that_our_authority_signed_is_trusted(self, server, server_certificates):
        assert self.reached(server, sslrootcert=server_certificates.ca) == ""

    def test_another_authority_is_not_trusted(self, server, server_certificates):
        with pytest.raises(LedgerUnavailable, match="certificate verify failed"):
            self.reached(server, sslrootcert=server_certificates.other_ca)

    def test_the_certificate_of_another_host_is_not_trusted(self, server, server_certificates):
        with pytest.raises(LedgerUnavailable, match="does not match host name"):
            self.reached(
                server,
                sslrootcert=server_certificates.ca,
                host="elsewhere.example",
                hostaddr="127.0.0.1",
            )

    def test_we_show_a_certificate_where_it_is_wanted(self, server, server_certificates):
        engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            conn.execute(text("CREATE USER careful"))
        engine.dispose()
        ca = server_certificates.ca
        with pytest.raises(LedgerUnavailable, match="valid client certificate"):
            self.reached(server, "careful", sslrootcert=ca)
        ours = {"sslcert": server_certificates.client, "sslkey": server_certificates.client_key}
        assert self.reached(server, "careful", sslrootcert=ca, **ours) == "/O=Hospital/CN=ct01"

    def test_a_certificate_that_has_expired_is_not_trusted(self, server, server_certificates):
        server.stop()
        server.show(server_certificates.expired)
        server.start()
        with pytest.raises(LedgerUnavailable, match="certificate verify failed"):
            self.reached(server, sslrootcert=server_certificates.ca)


class TestInTheWay:
    """Deadlocks and locks: nobody is at fault, and the same again will do."""

    @pytest.fixture
    def hasty(self, server_ledger: Ledger) -> Iterator[Ledger]:
        with server_ledger.write() as conn:
            destinations.ensure(conn, ["a", "b"])
        options = "-c deadlock_timeout=20ms -c lock_timeout=500ms"
        ledger = Ledger(with_query(server_ledger, options=options))
        yield ledger
        ledger.dispose()

    def crossing(self, *order: str) -> Callable[[Connection], None]:
        """Lock two destinations in this order, after the other has locked its first."""
        barrier = self.barrier

        def act(conn: Connection) -> None:
            for name in order:
                rows = select(DESTINATIONS.c.name).where(DESTINATIONS.c.name == name)
                conn.execute(rows.with_for_update()).all()
                if not barrier.broken and name == order[0]:
                    barrier.wait(5)
            barrier.abort()

        return act

    def test_a_deadlock_is_told_from_an_outage(self, hasty: Ledger):
        self.barrier = threading.Barrier(2)

        def write(act: Callable[[Connection], None]) -> None:
            with hasty.write() as conn:
                act(conn)

        ab, ba = self.crossing("a", "b"), self.crossing("b", "a")
        (raised,) = at_once(lambda: write(ab), lambda: write(ba))
        assert isinstance(raised, LedgerBusy)
        assert "deadlock" in str(raised)

    def test_a_deadlock_is_tried_again(self, hasty: Ledger):
        self.barrier = threading.Barrier(2)
        ab, ba = self.crossing("a", "b"), self.crossing("b", "a")
        assert at_once(lambda: hasty.transact(ab), lambda: hasty.transact(ba)) == []

    def test_a_lock_that_is_held_too_long_is_given_up(self, hasty: Ledger):
        with hasty.write() as conn:
            destinations.mark_down(conn, "a", "connect_failed", 1000)
            with pytest.raises(LedgerBusy, match="lock timeout"), hasty.write() as other:
                destinations.mark_down(other, "a", "connect_failed", 1000)


def backend(conn: Connection) -> int:
    return int(conn.execute(text("SELECT pg_backend_pid()")).scalar() or 0)


def terminate(ledger: Ledger, pid: int) -> None:
    """End a server process, and wait until it is gone."""
    with ledger.read() as conn:
        conn.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})


def test_a_backend_killed_half_way_costs_its_transaction_alone(server_ledger: Ledger, story):
    rows = [story.received() for _ in range(3)]
    other = Ledger(server_ledger.url)

    def write() -> None:
        with server_ledger.write() as conn:
            objects.insert_received(conn, rows)
            terminate(other, backend(conn))
            objects.insert_received(conn, rows)

    with pytest.raises(LedgerUnavailable):
        write()
    with server_ledger.write() as conn:
        assert objects.by_ids(conn, [row.id for row in rows]) == []
        objects.insert_received(conn, rows)
    with server_ledger.read() as conn:
        assert len(objects.by_ids(conn, [row.id for row in rows])) == 3
    other.dispose()


def test_connections_killed_while_they_idle_are_replaced(server_ledger: Ledger):
    other = Ledger(server_ledger.url)
    with server_ledger.read() as one, server_ledger.read() as two:
        pids = [backend(one), backend(two)]
    for pid in pids:
        terminate(other, pid)
    for _ in range(3):
        with server_ledger.read() as conn:
            assert backend(conn) not in pids
    other.dispose()


def test_a_connection_to_a_standby_is_given_up(server_ledger: Ledger):
    """After a failover the old primary may come back as a standby: what it was asked must not be
    asked of it again."""
    with server_ledger.read() as conn:
        pid = backend(conn)
        conn.connection.cursor().execute("SET default_transaction_read_only = on")
        conn.commit()
    with pytest.raises(LedgerUnavailable, match="read-only"), server_ledger.write() as conn:
        destinations.ensure(conn, ["pacs"])
    with server_ledger.write() as conn:
        assert backend(conn) != pid
        destinations.ensure(conn, ["pacs"])


@pytest.mark.timeout(120)
def test_whatever_happens_to_the_server_is_only_ever_unavailability(own_postgresql, story):
    """Killed and started three times under load: no other error, nothing confirmed is lost."""
    ledger = Ledger(own_postgresql.new_database())
    ledger.upgrade()
    ending = threading.Event()
    confirmed: set[str] = set()
    failures: list[LedgerUnavailable] = []

    def write() -> None:
        while not ending.is_set():
            row = story.received()
            try:
                with ledger.write() as conn:
                    objects.insert_received(conn, [row])
                confirmed.add(row.id)
            except LedgerUnavailable as error:
                failures.append(error)

    def read() -> None:
        while not ending.is_set():
            try:
                with ledger.read() as conn:
                    destinations.all_health(conn)
            except LedgerUnavailable as error:
                failures.append(error)

    def torment() -> None:
        try:
            for _ in range(3):
                have = len(confirmed)
                while len(confirmed) < have + 20:
                    ending.wait(0.01)
                own_postgresql.stop()
                own_postgresql.start()
        finally:
            ending.set()

    assert at_once(torment, write, write, write, read, read) == []
    assert failures
    with ledger.read() as conn:
        assert len(objects.by_ids(conn, sorted(confirmed))) == len(confirmed)
    ledger.dispose()


def test_two_that_end_histories_at_once_share_the_work(ledger: Ledger, story):
    ids = story.owe("pacs", count=4)
    story.end(story.lease("pacs"))
    with ledger.write() as conn:
        objects.mark_forgotten(conn, ids)
    with ledger.write() as one, ledger.write() as two:
        assert history.end(one, -1, 2) == 2
        assert history.end(two, -1, 500) == 2
    with ledger.read() as conn:
        assert objects.by_ids(conn, ids) == []

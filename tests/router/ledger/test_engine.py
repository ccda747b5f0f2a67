"""The door to the database: pragmas, turns, errors."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select, text

from router.ledger import Ledger, LedgerRefused, LedgerUnavailable, destinations
from router.ledger.clock import ledger_now
from router.ledger.engine import FairLock


@pytest.fixture
def ledger(tmp_path: Path):
    made = Ledger(f"sqlite:///{tmp_path}/var/ledger.db")
    made.upgrade()
    yield made
    made.dispose()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/ledger"])
def test_not_everything_keeps_a_ledger(url):
    with pytest.raises(LedgerRefused):
        Ledger(url)


def test_a_committed_row_survives_a_power_cut(ledger: Ledger):
    with ledger.write() as conn:
        found = {
            name: conn.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_the_file_is_not_for_everybody(ledger: Ledger):
    with ledger.write() as conn:
        destinations.ensure(conn, ["pacs"])
    for suffix in ("", "-wal", "-shm"):
        assert Path(f"{ledger.url.database}{suffix}").stat().st_mode & 0o007 == 0


LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in connection.execute("SELECT name FROM destinations ORDER BY name")))
connection.close()
"""


def seen_from_outside(ledger: Ledger) -> list[str]:
    """What another process reads, which opens the file and closes it again."""
    command = [sys.executable, "-c", LOOK, str(ledger.url.database)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_another_process_does_not_take_itself_for_the_last_one(ledger: Ledger):
    """The last one to close deletes the -wal file. To close any descriptor of the database drops
    this process's locks on it (POSIX), and SQLite elsewhere believes that nobody is here."""
    with ledger.write() as conn:
        destinations.ensure(conn, ["first"])
    with ledger.read() as one, ledger.read() as two:  # a new connection beside an open one
        assert one is not two
    assert seen_from_outside(ledger) == ["first"]
    with ledger.write() as conn:
        destinations.ensure(conn, ["second"])
    assert Path(f"{ledger.url.database}-wal").stat().st_size > 0
    assert seen_from_outside(ledger) == ["first", "second"]


def test_the_clock_is_in_milliseconds(ledger: Ledger):
    with ledger.read() as conn:
        before = time.time_ns() // 1_000_000
        now = conn.scalar(select(ledger_now()))
        after = time.time_ns() // 1_000_000
    assert now is not None
    assert before - 1 <= now <= after + 1


def test_reading_goes_on_while_another_writes(ledger: Ledger):
    with ledger.write() as writing:
        destinations.ensure(writing, ["pacs"])
        with ledger.read() as reading:
            assert destinations.all_health(reading) == []
    with ledger.read() as reading:
        assert [one.name for one in destinations.all_health(reading)] == ["pacs"]


def test_a_write_inside_a_write_is_refused_at_once(ledger: Ledger):
    with ledger.write(), pytest.raises(LedgerRefused, match="inside"), ledger.write():
        pass
    with ledger.write() as conn:
        destinations.ensure(conn, ["pacs"])


def test_writers_of_one_file_share_the_queue(ledger: Ledger):
    other = Ledger(ledger.url)
    with ledger.write(), pytest.raises(LedgerRefused, match="inside"), other.write():
        pass
    other.dispose()


def test_two_processes_take_turns(ledger: Ledger):
    """SQLite's own lock orders processes: nobody sees "database is locked"."""
    program = """
import sys
from router.ledger import Ledger, destinations
ledger = Ledger(sys.argv[1])
for n in range(50):
    with ledger.write() as conn:
        destinations.ensure(conn, [f"{sys.argv[2]}-{n}"])
"""
    url = ledger.url.render_as_string()
    root = Path(__file__).parents[3]
    running = [
        subprocess.Popen([sys.executable, "-c", program, url, name], cwd=root) for name in "ab"
    ]
    for n in range(50):
        with ledger.write() as conn:
            destinations.ensure(conn, [f"c-{n}"])
    assert [process.wait(60) for process in running] == [0, 0]
    with ledger.read() as conn:
        assert len(destinations.all_health(conn)) == 150


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"This is not a database. " * 100)
    ledger = Ledger(f"sqlite:///{path}")
    with pytest.raises(LedgerRefused, match="not a database"), ledger.read():
        pass
    ledger.dispose()


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path):
    (tmp_path / "ledger.db").mkdir()
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    with pytest.raises(LedgerUnavailable), ledger.write():
        pass
    ledger.dispose()


class TestFairLock:
    """Turns in the order of asking."""

    def queue_up(self, lock: FairLock, count: int, timeout: float = 30) -> list[threading.Thread]:
        """Threads that wait for the lock, the first one first; each notes its turn."""
        self.turns: list[int] = []

        def work(number: int) -> None:
            if lock.acquire(timeout):
                self.turns.append(number)
                lock.release()

        threads = []
        for number in range(count):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            while len(lock._waiting) <= number and thread.is_alive():
                threading.Event().wait(0.001)
            threads.append(thread)
        return threads

    def test_first_come_first_served(self):
        lock = FairLock()
        assert lock.acquire(0)
        threads = self.queue_up(lock, 8)
        lock.release()
        for thread in threads:
            thread.join()
        assert self.turns == list(range(8))
        assert lock.acquire(0)

    def test_who_waited_too_long_gives_up_its_place(self):
        lock = FairLock()
        assert lock.acquire(0)
        (thread,) = self.queue_up(lock, 1, timeout=0.01)
        thread.join()
        assert self.turns == []
        lock.release()
        assert lock.acquire(0)

    def test_only_one_at_a_time(self):
        lock = FairLock()
        inside = 0
        most = 0

        def work() -> None:
            nonlocal inside, most
            for _ in range(300):
                assert lock.acquire(30)
                inside += 1
                most = max(most, inside)
                inside -= 1
                lock.release()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == 1

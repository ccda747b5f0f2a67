"""The schema: made by migrations alone, equal to the models, on every database."""

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import URL

from router.ledger import (
    DeliveryState,
    Ledger,
    LedgerError,
    LedgerRefused,
    LedgerUnavailable,
    SchemaOutdated,
    deliveries,
    destinations,
    leases,
    migrations,
    objects,
)
from router.ledger.migrations import NEWEST_REVISION, scripts_folder
from router.ledger.models import LedgerTable
from tests.contracts.later_schema import LATER, expand


def test_migrations_make_exactly_what_the_models_say(ledger: Ledger):
    with ledger.read() as conn:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        assert compare_metadata(context, LedgerTable.metadata) == []


def test_the_newest_revision_is_the_newest_script():
    walked = ScriptDirectory(str(scripts_folder())).walk_revisions()
    revisions = [script.revision for script in walked]
    assert revisions[0] == NEWEST_REVISION
    assert revisions == [f"{number:04d}" for number in range(len(revisions), 0, -1)]


def test_a_ledger_of_an_older_version_is_told_to_be_upgraded(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrations, "NEWEST_REVISION", "9999")
    with pytest.raises(SchemaOutdated, match=f"at revision {NEWEST_REVISION}, this .* needs 9999"):
        ledger.check()


def test_an_empty_database_is_told_from_an_upgraded_one(empty_url: URL):
    ledger = Ledger(empty_url)
    assert ledger.revision() is None
    with pytest.raises(SchemaOutdated, match="db upgrade"):
        ledger.check()
    with pytest.raises(SchemaOutdated), ledger.read() as conn:
        objects.known_ids(conn, "0199aaaa")
    ledger.upgrade()
    ledger.check()
    assert ledger.revision() == NEWEST_REVISION
    ledger.upgrade()
    ledger.dispose()


def test_a_later_version_whose_floor_is_above_us_is_refused(ledger: Ledger):
    expand(ledger, floor=LATER)
    for act in (ledger.check, ledger.upgrade):
        with pytest.raises(LedgerRefused, match="later version"):
            act()
    assert ledger.revision() == LATER


def test_a_later_version_without_a_floor_is_refused(ledger: Ledger):
    expand(ledger)
    with ledger.write() as conn:
        conn.execute(text("DROP TABLE schema_floor"))
    with pytest.raises(LedgerRefused, match="later version"):
        ledger.check()


@pytest.mark.parametrize(("revision", "works"), [("0004", False), ("0005", True)])
def test_code_that_knows_no_proofs_is_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, revision: str, works: bool
):
    """It would settle, and one day delete, what a destination has not committed yet."""
    monkeypatch.setattr(migrations, "NEWEST_REVISION", revision)
    if works:
        ledger.check()
        return
    with pytest.raises(LedgerRefused, match="later version"):
        ledger.check()


def test_only_the_version_that_knows_the_way_goes_back(ledger: Ledger):
    for revision in ("9999", "0000", "6", "base"):
        with pytest.raises(LedgerRefused, match="no way back"):
            ledger.downgrade(revision)
    expand(ledger)
    with pytest.raises(LedgerRefused, match="only the version that made it"):
        ledger.downgrade("0001")


def test_this_version_works_on_a_later_schema(ledger: Ledger, story):
    """Rolling upgrades: the schema is upgraded first, and old processes go on beside new ones."""
    kept = story.owe("pacs", "research", count=3)
    expand(ledger)
    ledger.check()
    ledger.upgrade()
    assert ledger.revision() == LATER
    ids = [*kept, *story.owe("pacs", "research", count=3)]
    for destination in ("pacs", "research"):
        with ledger.write() as conn:
            assert destinations.take_slot(conn, destination, 1, "worker", 60_000) == 0
            destinations.mark_down(conn, destination, "connect_failed", 60_000)
            destinations.mark_up(conn, destination)
        assert story.end(story.lease(destination)) == 6
    with ledger.write() as conn:
        assert leases.lead(conn, "conductor", "a", 60_000)
        objects.set_checkpoint(conn, "node", "0199aaaa")
        deliveries.expire_leases(conn)
    assert story.state_of(ids[0], "pacs") is DeliveryState.DELIVERED
    with ledger.write() as conn:
        assert objects.mark_forgotten(conn, objects.forgettable(conn, -1, 100)) == 6


def test_processes_that_upgrade_at_once_take_turns(empty_url: URL):
    failures: list[LedgerError] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        ledger = Ledger(empty_url)
        barrier.wait()
        try:
            ledger.upgrade()
            ledger.check()
        except LedgerError as error:
            failures.append(error)
        ledger.dispose()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_failed_write_leaves_nothing_behind(ledger: Ledger, story):
    row = story.received()

    def fail() -> None:
        with ledger.write() as conn:
            objects.insert_received(conn, [row])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with ledger.read() as conn:
        assert objects.by_ids(conn, [row.id]) == []


def test_what_is_written_while_reading_is_not_kept(ledger: Ledger, story):
    row = story.received()
    with ledger.read() as conn:
        objects.insert_received(conn, [row])
    with ledger.read() as conn:
        assert objects.by_ids(conn, [row.id]) == []


def test_a_wrong_statement_is_refused_without_its_values(ledger: Ledger, story):
    row = story.received()
    bad = "INSERT INTO objects (id, patient_id) VALUES (:id, :patient_id)"
    with pytest.raises(LedgerRefused) as caught, ledger.write() as conn:
        conn.execute(text(bad), {"id": row.id, "patient_id": "DOE^JANE"})
    assert "DOE" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_database_that_is_away_is_unavailable(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(LedgerUnavailable):
        Ledger(f"sqlite:///{tmp_path}/file/ledger.db")
    ledger = Ledger("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    with pytest.raises(LedgerUnavailable), ledger.read():
        pass
    ledger.dispose()


def test_a_database_that_comes_back_is_used_again(own_postgresql):
    ledger = Ledger(own_postgresql.new_database())
    ledger.upgrade()
    with ledger.write() as conn:
        destinations.ensure(conn, ["before"])
    own_postgresql.stop()
    for act in (ledger.write, ledger.read):
        with pytest.raises(LedgerUnavailable), act():
            pass
    own_postgresql.start()
    with ledger.write() as conn:
        destinations.ensure(conn, ["after"])
    with ledger.read() as conn:
        assert [one.name for one in destinations.all_health(conn)] == ["after", "before"]
    ledger.dispose()


def test_a_database_that_goes_away_half_way_is_unavailable(own_postgresql):
    ledger = Ledger(own_postgresql.new_database())
    ledger.upgrade()

    def write() -> None:
        with ledger.write() as conn:
            destinations.ensure(conn, ["pacs"])
            own_postgresql.stop()
            destinations.ensure(conn, ["research"])

    with pytest.raises(LedgerUnavailable):
        write()
    own_postgresql.start()
    with ledger.read() as conn:
        assert destinations.all_health(conn) == []
    ledger.dispose()

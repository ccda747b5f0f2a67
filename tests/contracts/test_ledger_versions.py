"""Which version of the rules is in force, on every database; and what a shadow noted."""

import threading

from sqlalchemy import text

from router.ledger import Ledger, shadows, versions
from router.ledger.shadows import Difference


def test_the_newest_activation_is_in_force(ledger: Ledger):
    with ledger.write() as conn:
        assert versions.in_force(conn) is None
        assert versions.activate(conn, "v1", {"a.yaml": "one"}, who="w1")
        assert versions.activate(conn, "v2", {"a.yaml": "two"}, source="command", why="asked")
        assert versions.activate(conn, "v1", {"a.yaml": "one"}, source="rollback", who="me")
    with ledger.read() as conn:
        now = versions.in_force(conn)
        assert now is not None
        assert (now.serial, now.version, now.source, now.who, now.why) == (
            3,
            "v1",
            "rollback",
            "me",
            None,
        )
        files = versions.of_files(conn)
        assert files is not None
        assert (files.version, files.source, files.why) == ("v2", "command", "asked")
        assert [one.serial for one in versions.activations(conn, 2)] == [3, 2]
        assert versions.beginning_with(conn, "v") == ["v1", "v2"]
        assert versions.beginning_with(conn, "%") == []


def test_the_same_again_is_noted_once_and_ends_a_rollback(ledger: Ledger):
    with ledger.write() as conn:
        for source in ("files", "command", "rollback", "rollback", "files"):
            versions.activate(conn, "v1", {}, source=source)
        assert [one.source for one in versions.activations(conn, 9)] == [
            "files",
            "rollback",
            "files",
        ]


def test_who_comes_late_changes_nothing(ledger: Ledger):
    with ledger.write() as conn:
        assert versions.activate(conn, "v1", {}, after=0)
        assert not versions.activate(conn, "v2", {}, after=0)
        assert versions.activate(conn, "v2", {}, after=1)
        now = versions.in_force(conn)
        assert now is not None
        assert (now.serial, now.version) == (2, "v2")


def test_of_two_at_once_one_is_first(ledger: Ledger):
    barrier = threading.Barrier(4)
    won: list[str] = []

    def put(version: str) -> None:
        barrier.wait()
        with ledger.write() as conn:
            if versions.activate(conn, version, {}, after=0):
                won.append(version)

    threads = [threading.Thread(target=put, args=(f"v{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ledger.read() as conn:
        assert [one.version for one in versions.activations(conn, 9)] == won
    assert len(won) == 1


def test_a_shadow_counts_and_keeps_the_latest_cases(ledger: Ledger):
    cases = [Difference(object_id=f"{n:032x}", kind="unrouted", detail="x") for n in range(3)]
    with ledger.write() as conn:
        shadows.record(conn, "v1", "s1", {"same": 5, "unrouted": 3}, cases)
        shadows.record(conn, "v1", "s1", {"same": 2}, [])
        shadows.record(conn, "v1", "s2", {"same": 1}, [])
    with ledger.read() as conn:
        assert [(one.shadow_version, one.counts) for one in shadows.comparisons(conn)] == [
            ("s1", {"same": 7, "unrouted": 3}),
            ("s2", {"same": 1}),
        ]
        assert [one.object_id for one in shadows.latest(conn, 2)] == [f"{n:032x}" for n in (2, 1)]
    with ledger.write() as conn:
        shadows.forget(conn)
        assert shadows.comparisons(conn) == []


def test_the_cases_of_a_shadow_are_bounded(ledger: Ledger):
    case = Difference(object_id="0" * 32, kind="edits", detail="x" * 9999)
    with ledger.write() as conn:
        for _ in range(3):
            shadows.record(conn, "v1", "s1", {"edits": 600}, [case] * 600)
        assert conn.scalar(text("SELECT count(*) FROM shadow_differences")) == shadows.KEPT
        assert shadows.comparisons(conn)[0].counts == {"edits": 1800}

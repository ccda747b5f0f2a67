"""`dicom-router deid lookup|export|forget|reseal|audit|vault`, as a person calls them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from router import logs
from router.cli.deid.matching import read_crosswalk
from router.config_vault import Vault
from router.ledger import Ledger, vault
from router.ledger.vault import Pair
from router.vault.sealing import VaultKeys

FIRST, SECOND = "the first secret of this test", "the second secret of this test"
SITE = """\
listeners: [{{name: main, ae_title: ROUTER}}]
vault: {vault}
"""
ONE_KEY = f"{{keys: {{first: {FIRST}}}}}"
TWO_KEYS = f"{{seal_with: second, keys: {{first: {FIRST}, second: {SECOND}}}}}"
WHY = ("--why", "ticket 4711")


def pair(kind: str, old: str, new: str, parent: str = "", **more: Any) -> Pair:
    given: dict[str, Any] = {"project": "study-a", "profile": "research", "subject": "0815"}
    given |= {"kind": kind, "old": old, "new": new, "parent": parent, "version": "v1"}
    return Pair(**(given | more))


KEPT = [
    pair("patient", "0815", "ABCDEF", issuer="HOSPITAL", name="Doe^Jane", days=-17),
    pair("study", "1.2", "2.25.2", "ABCDEF", days=-17),
    pair("accession", "A-1", "", "2.25.2"),
    pair("series", "1.2.3", "2.25.3", "2.25.2"),
    pair("instance", "1.2.3.4", "2.25.4", "2.25.3"),
    pair("patient", "=1+1", "GHIJKL", subject="=1+1", project="study-b"),
    pair("patient", "0815", "MNOPQR", project="study-b"),
]


class Site:
    """A site with a vault in which something is kept."""

    def __init__(self, folder: Path, call: Any, ledger: Path | None = None) -> None:
        self.file = folder / "site.yaml"
        self.folder = folder
        (folder / "var").mkdir()
        if ledger is not None:
            shutil.copy(ledger, folder / "var" / "ledger.db")
        self.ledger = Ledger(f"sqlite:///{folder}/var/ledger.db")
        self.ledger.upgrade()
        self._call = call
        self.configure(ONE_KEY)

    def configure(self, settings: str) -> None:
        self.file.write_text(SITE.format(vault=settings), encoding="utf-8")

    def keep(self, *pairs: Pair, **secrets: str) -> None:
        keys = VaultKeys(Vault(keys=secrets or {"first": FIRST}))
        with self.ledger.write() as connection:
            vault.ensure_key(connection, keys.sealing.name, keys.sealing.fingerprint)
            vault.keep(connection, keys.seal(pairs))

    def run(self, *words: object) -> Any:
        return self._call("deid", *words, "-c", self.file)

    def audited(self) -> list[tuple[str, str, int | None]]:
        """Action, outcome and rows; the oldest first."""
        with self.ledger.read() as connection:
            found = vault.audits(connection, limit=100)
        return [(one.action, one.outcome, one.entries) for one in reversed(found)]

    def change(self, statement: str) -> None:
        with self.ledger.write() as connection:
            connection.execute(text(statement))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger's file, written once."""
    folder = tmp_path_factory.mktemp("kept")
    made = Site(folder, None)
    made.keep(*KEPT)
    made.ledger.dispose()
    return folder / "var" / "ledger.db"


@pytest.fixture
def site(tmp_path: Path, call: Any, kept: Path) -> Iterator[Site]:
    made = Site(tmp_path, call, kept)
    yield made
    made.ledger.dispose()
    logs.configure(level="warning", style="console")  # not to the command's own stream any more


@pytest.mark.parametrize(
    ("asked", "old", "new"),
    [
        ("ABCDEF", "0815", "ABCDEF"),
        ("2.25.2", "1.2", "2.25.2"),
        ("1.2", "1.2", "2.25.2"),
        ("2.25.3", "1.2.3", "2.25.3"),
        ("A-1", "A-1", ""),
        (" GHIJKL ", "=1+1", "GHIJKL"),
    ],
)
def test_both_ways_lead_to_the_same(site: Site, asked: str, old: str, new: str) -> None:
    (found,) = site.run("lookup", asked, *WHY, "--json").json
    assert (found["id_old"], found["id_new"]) == (old, new)
    assert (found["profile"], found["version"]) == ("research", "v1")
    assert found["since"].endswith("Z")


def test_an_instance_tells_whose_it_is(site: Site) -> None:
    (found,) = site.run("lookup", "2.25.4", *WHY, "--json").json
    assert [(one["kind"], one["id_old"]) for one in found["belongs_to"]] == [
        ("series", "1.2.3"),
        ("study", "1.2"),
        ("patient", "0815"),
    ]
    assert found["belongs_to"][-1]["name"] == "Doe^Jane"
    assert found["belongs_to"][-1]["days"] == -17
    said = site.run("lookup", "1.2.3.4", *WHY)
    assert said.code == 0
    assert [line.split()[:2] for line in said.out.splitlines()[1:]] == [
        ["instance", "1.2.3.4"],
        ["of", "series"],
        ["of", "study"],
        ["of", "patient"],
    ]
    assert "issuer HOSPITAL, name Doe^Jane" in said.out


def test_a_patient_of_two_projects_is_told_of_both(site: Site) -> None:
    found = site.run("lookup", "0815", *WHY, "--json").json
    assert {(one["project"], one["id_new"]) for one in found} == {
        ("study-a", "ABCDEF"),
        ("study-b", "MNOPQR"),
    }


def test_a_stranger_is_a_failure_that_is_noted(site: Site) -> None:
    said = site.run("lookup", "NOBODY", *WHY)
    assert (said.code, said.out) == (1, "")
    assert "the vault knows nothing by this name" in said.err
    assert site.audited() == [("lookup", "unknown", 0)]


def test_every_question_is_noted_and_logged_without_saying_who(site: Site) -> None:
    said = site.run("lookup", "0815", *WHY)
    (line,) = [line for line in said.err.splitlines() if "the vault was asked" in line]
    assert "0815" not in line
    assert "ABCDEF" not in line
    assert "action=lookup" in line
    with site.ledger.read() as connection:
        (noted,) = vault.audits(connection, limit=10)
    assert noted.who.endswith("@" + os.uname().nodename)
    assert (noted.why, noted.outcome, noted.entries) == ("ticket 4711", "found", 2)
    assert noted.asked is not None
    assert b"0815" not in noted.asked


def test_who_asks_is_what_the_system_says(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    site.run("lookup", "0815", *WHY)
    with site.ledger.read() as connection:
        (noted,) = vault.audits(connection, limit=10)
    assert "somebody-else" not in noted.who


def test_nobody_asks_without_a_reason(site: Site) -> None:
    assert site.run("lookup", "0815").code == 2
    assert "says why" in site.run("lookup", "0815", "--why", " ").err
    assert site.audited() == []


def test_a_site_without_a_vault_says_so(site: Site) -> None:
    site.file.write_text("listeners: [{name: main, ae_title: ROUTER}]\n")
    said = site.run("lookup", "0815", *WHY)
    assert said.code == 2
    assert "the site has no vault" in said.err


def test_a_wrong_secret_is_told_from_an_unknown_name(site: Site) -> None:
    site.configure(f"{{keys: {{first: {SECOND}}}}}")
    for words in (("lookup", "0815"), ("export", "uids", "-o", site.folder / "x.csv")):
        said = site.run(*words, *WHY)
        assert said.code == 2
        assert "the secret of first is not the one that sealed under this name" in said.err
    assert site.audited() == [("lookup", "wrong_secret", None), ("export", "wrong_secret", None)]
    assert not (site.folder / "x.csv").exists()


def test_a_missing_key_is_told(site: Site) -> None:
    site.configure(f"{{keys: {{second: {SECOND}}}}}")
    said = site.run("lookup", "0815", *WHY)
    assert said.code == 1
    assert (
        f"{len(KEPT)} rows are sealed with the key first, which the site does not have" in said.err
    )
    said = site.run("export", "patients", *WHY, "-o", site.folder / "x.csv")
    assert said.code == 1
    assert "3 rows are sealed with the key first" in said.err
    assert (site.folder / "x.csv").read_text() == "id_old,id_new\n"
    assert site.audited()[-1] == ("export", "incomplete", 0)
    said = site.run("vault")
    assert said.code == 1
    assert "the site has no key first" in said.err


def test_a_touched_row_is_told_and_says_nothing(site: Site) -> None:
    site.change("UPDATE vault_entries SET project = 'study-x' WHERE kind = 'study'")
    said = site.run("lookup", "1.2", *WHY)
    assert (said.code, said.out) == (1, "")
    assert "1 rows are not as they were sealed" in said.err
    assert site.audited() == [("lookup", "touched", 0)]
    said = site.run("export", "uids", *WHY, "-o", site.folder / "x.csv")
    assert said.code == 1
    assert (site.folder / "x.csv").read_text().count("\n") == 1 + 2
    assert site.audited()[-1] == ("export", "touched", 2)


def test_a_row_in_the_place_of_another_is_told(site: Site) -> None:
    site.change(
        "UPDATE vault_entries SET new_index = (SELECT new_index FROM vault_entries "
        "WHERE kind = 'instance') WHERE kind = 'series'"
    )
    said = site.run("lookup", "2.25.4", *WHY)
    assert said.code == 1
    assert "1 rows are not as they were sealed" in said.err


def test_an_export_is_a_crosswalk_that_only_its_owner_reads(site: Site) -> None:
    file = site.folder / "uids.csv"
    before = os.umask(0)
    try:
        said = site.run("export", "uids", *WHY, "--output", file)
    finally:
        os.umask(before)
    assert said.code == 0
    assert said.out == f"{file}: 3 rows\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_crosswalk(file) == {"2.25.2": "1.2", "2.25.3": "1.2.3", "2.25.4": "1.2.3.4"}
    assert site.audited() == [("export", "asked", None), ("export", "written", 3)]


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("studies", ["1.2,2.25.2"]),
        ("series", ["1.2.3,2.25.3"]),
        ("instances", ["1.2.3.4,2.25.4"]),
        ("accessions", ["A-1,"]),
        ("patients", ["'=1+1,GHIJKL", "0815,ABCDEF", "0815,MNOPQR"]),
    ],
)
def test_what_is_exported_is_chosen(site: Site, what: str, rows: list[str]) -> None:
    file = site.folder / "out.csv"
    assert site.run("export", what, *WHY, "-o", file).code == 0
    head, *lines = file.read_text().splitlines()
    assert (head, sorted(lines)) == ("id_old,id_new", rows)


def test_an_export_is_of_a_project_and_of_a_time(site: Site) -> None:
    file = site.folder / "a.csv"
    assert site.run("export", "patients", *WHY, "-o", file, "--project", "study-a").code == 0
    assert file.read_text() == "id_old,id_new\n0815,ABCDEF\n"
    site.change("UPDATE vault_entries SET at = 1 WHERE kind = 'instance'")
    told = site.run("export", "uids", *WHY, "-o", site.folder / "b.csv", "--since", "1h", "--json")
    assert told.json["rows"] == 2


def test_an_id_that_is_a_formula_is_guarded_unless_a_program_reads_it(site: Site) -> None:
    said = site.run("export", "patients", *WHY, "-o", site.folder / "a.csv")
    assert "1 ids begin as a formula does" in said.err
    site.run("export", "patients", *WHY, "-o", site.folder / "b.csv", "--exact")
    assert "\n=1+1,GHIJKL\n" in (site.folder / "b.csv").read_text()


def test_what_is_there_is_never_written_over(site: Site) -> None:
    file = site.folder / "uids.csv"
    file.write_text("mine")
    link = site.folder / "link.csv"
    link.symlink_to(site.folder / "elsewhere.csv")
    for path in (file, link, site.folder / "no" / "such.csv"):
        assert site.run("export", "uids", *WHY, "-o", path).code == 2
    assert file.read_text() == "mine"
    assert not (site.folder / "elsewhere.csv").exists()
    assert site.audited() == []


def test_what_several_profiles_say_is_exported_once(site: Site) -> None:
    site.keep(replace(KEPT[4], profile="other"), replace(KEPT[4], days=-3))
    site.keep(KEPT[4], second=SECOND)
    site.configure(TWO_KEYS)
    told = site.run("export", "instances", *WHY, "-o", site.folder / "a.csv", "--json").json
    assert told["rows"] == 1
    assert len(site.run("lookup", "2.25.4", *WHY, "--json").json) == 3


@pytest.mark.parametrize("patient", ["0815", "ABCDEF"])
def test_a_patient_is_forgotten_by_either_name(site: Site, patient: str) -> None:
    said = site.run("forget", patient, *WHY, "--yes")
    assert (said.code, said.out) == (0, "forgotten: 6 rows\n")
    assert "backups" in said.err
    for name in ("0815", "ABCDEF", "MNOPQR", "2.25.2", "1.2.3.4", "A-1"):
        assert site.run("lookup", name, *WHY).code == 1
    assert site.run("lookup", "GHIJKL", *WHY).code == 0
    assert site.audited()[:2] == [("forget", "asked", None), ("forget", "forgotten", 6)]
    assert site.run("forget", patient, *WHY, "--yes").code == 1


def test_what_is_left_of_somebody_under_a_lost_key_is_told(site: Site) -> None:
    site.configure(TWO_KEYS)
    site.keep(KEPT[0], third="a third secret, of nobody here")
    said = site.run("forget", "0815", *WHY, "--yes")
    assert said.code == 0
    assert "1 rows are sealed with the key third, which the site does not have" in said.err


def test_a_project_is_forgotten_and_a_patient_of_one(site: Site) -> None:
    told = site.run("forget", "0815", "--project", "study-b", *WHY, "--yes", "--json").json
    assert told == {"forgotten": 1}
    assert site.run("forget", "--project", "study-a", *WHY, "--yes", "--json").json == {
        "forgotten": 5
    }
    assert site.run("vault", "--json").json["contents"] == [
        {"key": "first", "project": "study-b", "kind": "patient", "rows": 1}
    ]


def test_forgetting_asks_for_what_and_whether(site: Site) -> None:
    assert "whom?" in site.run("forget", *WHY, "--yes").err
    assert "say --yes" in site.run("forget", "0815", *WHY).err
    assert site.run("lookup", "0815", *WHY).code == 0


def test_a_key_is_changed_and_the_old_one_put_away(site: Site) -> None:
    site.configure(TWO_KEYS)
    site.keep(KEPT[0], second=SECOND)
    assert len(site.run("lookup", "0815", *WHY, "--json").json) == 2
    said = site.run("reseal", *WHY)
    assert (said.code, said.out) == (0, f"resealed: {len(KEPT)} rows\n")
    site.configure(f"{{keys: {{second: {SECOND}}}}}")
    said = site.run("vault", "--json")
    assert said.code == 0
    assert {row["key"] for row in said.json["contents"]} == {"second"}
    assert sum(row["rows"] for row in said.json["contents"]) == len(KEPT)
    (found,) = site.run("lookup", "2.25.4", *WHY, "--json").json
    assert len(found["belongs_to"]) == 3
    assert site.run("reseal", *WHY, "--json").json == {"resealed": 0, "unread": 0}


def test_what_cannot_be_opened_is_left_as_it_was(site: Site) -> None:
    site.configure(TWO_KEYS)
    site.keep(pair("patient", "1", "2"), third="a third secret, of nobody here")
    site.change("UPDATE vault_entries SET sealed = x'00' WHERE kind = 'instance'")
    said = site.run("reseal", *WHY, "--json")
    assert said.code == 1
    assert said.json == {"resealed": len(KEPT) - 1, "unread": 2}
    assert "the key third" in said.err
    assert site.audited()[-1] == ("reseal", "touched", len(KEPT) - 1)


def test_the_audit_is_listed_and_shows_values_to_who_has_the_key(site: Site) -> None:
    assert site.run("audit").code == 1
    site.run("lookup", "0815", *WHY)
    site.run("export", "uids", "--why", "yearly", "-o", site.folder / "a.csv")
    said = site.run("audit")
    assert said.code == 0
    assert "ticket 4711" in said.out
    assert "0815" not in said.out
    listed = site.run("audit", "--json").json
    assert [(one["action"], one["outcome"]) for one in listed] == [
        ("export", "written"),
        ("export", "asked"),
        ("lookup", "found"),
    ]
    assert site.run("audit", "--show-values").code == 2
    shown = site.run("audit", "--show-values", "--why", "yearly review", "--json").json
    assert [one.get("asked") for one in shown] == [None, "uids of all projects since ever", "0815"]
    assert site.audited()[-1][:2] == ("audit", "asked")
    site.configure(f"{{keys: {{second: {SECOND}}}}}")
    shown = site.run("audit", "--show-values", "--why", "again", "--json").json
    assert "(sealed with first)" in [one.get("asked") for one in shown]


def test_an_outdated_ledger_is_told(site: Site) -> None:
    site.ledger.downgrade("0005")
    said = site.run("lookup", "0815", *WHY)
    assert said.code == 3
    assert "db upgrade" in said.err

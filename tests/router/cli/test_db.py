"""`dicom-router db`: making, bringing up to date and checking the ledger."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from router.config import load_site
from router.ledger import Ledger
from router.ledger.migrations import NEWEST_REVISION


@pytest.fixture
def ledger_file(site_file: Path) -> Path:
    """Where the site keeps its ledger; nothing is there yet."""
    return Path(load_site(site_file).ledger.removeprefix("sqlite:///"))


def test_upgrade_makes_the_ledger(call: Any, site_file: Path, ledger_file: Path):
    assert not ledger_file.exists()
    said = call("db", "upgrade", "-c", site_file)
    assert said.code == 0
    assert said.out == f"the ledger went from nothing to revision {NEWEST_REVISION}\n"
    assert ledger_file.exists()
    again = call("db", "upgrade", "-c", site_file)
    assert again.code == 0
    assert again.out == f"the ledger is at revision {NEWEST_REVISION} already\n"
    told = call("db", "upgrade", "-c", site_file, "--json").json
    assert told == {"from": NEWEST_REVISION, "to": NEWEST_REVISION}


def test_check_finds_a_sound_ledger_sound(call: Any, site_file: Path):
    call("db", "upgrade", "-c", site_file)
    said = call("db", "check", "-c", site_file)
    assert said.code == 0
    assert NEWEST_REVISION in said.out
    told = call("db", "check", "-c", site_file, "--json").json
    assert told == {"ok": True, "revision": NEWEST_REVISION, "problem": None}


def test_check_makes_no_ledger(call: Any, site_file: Path, ledger_file: Path):
    said = call("db", "check", "-c", site_file)
    assert said.code == 3
    assert not ledger_file.exists()


def test_check_says_when_an_upgrade_is_due(call: Any, site_file: Path, ledger_file: Path):
    call("db", "upgrade", "-c", site_file)
    ledger = Ledger(f"sqlite:///{ledger_file}")
    with ledger.write() as conn:
        conn.execute(text("DELETE FROM alembic_version"))
    ledger.dispose()
    said = call("db", "check", "-c", site_file)
    assert said.code == 1
    assert "db upgrade" in said.err
    told = call("db", "check", "-c", site_file, "--json")
    assert told.code == 1
    assert told.json["ok"] is False
    assert told.json["revision"] is None


def test_a_ledger_of_a_later_version_is_not_touched(call: Any, site_file: Path, ledger_file: Path):
    call("db", "upgrade", "-c", site_file)
    ledger = Ledger(f"sqlite:///{ledger_file}")
    with ledger.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        conn.execute(text("UPDATE schema_floor SET revision = '9999'"))
    said = call("db", "upgrade", "-c", site_file)
    assert said.code == 3
    assert "9999" in said.err
    assert ledger.revision() == "9999"
    ledger.dispose()


def test_a_later_schema_that_admits_us_is_sound(call: Any, site_file: Path, ledger_file: Path):
    call("db", "upgrade", "-c", site_file)
    ledger = Ledger(f"sqlite:///{ledger_file}")
    with ledger.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ledger.dispose()
    said = call("db", "check", "-c", site_file)
    assert said.code == 0
    assert f"9999, with which this version ({NEWEST_REVISION}) can work" in said.out


def test_downgrade_goes_back_and_upgrade_forward(call: Any, site_file: Path, ledger_file: Path):
    assert call("db", "downgrade", "0001", "-c", site_file, "--yes").code == 3
    assert not ledger_file.exists()
    call("db", "upgrade", "-c", site_file)
    unsure = call("db", "downgrade", "0001", "-c", site_file)
    assert unsure.code == 2
    assert "--yes" in unsure.err
    said = call("db", "downgrade", "0001", "-c", site_file, "--yes")
    assert said.out == f"the ledger went from revision {NEWEST_REVISION} back to 0001\n"
    wrong = call("db", "downgrade", "0002", "-c", site_file, "--yes")
    assert wrong.code == 3
    assert "no way back" in wrong.err
    told = call("db", "upgrade", "-c", site_file, "--json").json
    assert told == {"from": "0001", "to": NEWEST_REVISION}
    told = call("db", "downgrade", "0001", "-c", site_file, "--yes", "--json").json
    assert told == {"from": NEWEST_REVISION, "to": "0001"}


def test_a_file_that_is_no_ledger(call: Any, site_file: Path, ledger_file: Path):
    ledger_file.parent.mkdir(parents=True, exist_ok=True)
    ledger_file.write_text("no ledger " * 1000)
    for command in ("upgrade", "check"):
        said = call("db", command, "-c", site_file)
        assert said.code == 3
        assert "not a database" in said.err

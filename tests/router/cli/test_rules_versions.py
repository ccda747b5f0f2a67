"""`rules history`, `show`, `reload`, `rollback`: which version is in force, and why."""

from pathlib import Path
from typing import Any

import pytest

from router.config import load_site
from router.ledger import Ledger, versions

ONE = "routes: [{name: one, send_to: pacs}]\n"
TWO = "routes: [{name: one, send_to: ai}, {name: two, send_to: pacs}]\n"


@pytest.fixture
def ledger(site_file: Path):
    ledger = Ledger(load_site(site_file, {}).ledger)
    ledger.upgrade()
    yield ledger
    ledger.dispose()


@pytest.fixture
def rules_file(site_file: Path) -> Path:
    path = site_file.parent / "rules" / "10-routes.yaml"
    path.write_text(ONE)
    return path


def in_force(ledger: Ledger) -> str:
    with ledger.read() as connection:
        newest = versions.in_force(connection)
    assert newest is not None
    return newest.version


def test_reload_puts_files_in_force_or_says_why_not(
    call: Any, site_file: Path, rules_file: Path, ledger: Ledger
):
    said = call("rules", "reload", "-c", site_file, "--json")
    assert said.code == 0
    assert said.json == {"version": in_force(ledger), "routes": 1}
    first = in_force(ledger)
    rules_file.write_text("routes: [{name: one, send_to: pasc}]\n")
    said = call("rules", "reload", "-c", site_file)
    assert said.code == 2
    assert f"{rules_file}:1:" in said.err
    assert "nothing was changed" in said.err
    assert in_force(ledger) == first


def test_the_way_there_and_back(call: Any, site_file: Path, rules_file: Path, ledger: Ledger):
    call("rules", "reload", "-c", site_file)
    first = in_force(ledger)
    rules_file.write_text(TWO)
    call("rules", "reload", "-c", site_file, "--why", "ai is live")
    second = in_force(ledger)

    assert call("rules", "rollback", "-c", site_file, "--why", "ai is down").code == 0
    assert in_force(ledger) == first
    said = call("rules", "history", "-c", site_file)
    assert said.code == 0
    assert "rolled back: it stays so" in said.err
    lines = said.out.splitlines()
    assert lines[0].lstrip().startswith("in force since")
    assert [line.split()[0] == "*" for line in lines[1:]] == [True, False, False]
    assert [line.split("  ")[-1].strip() for line in lines[1:]] == [
        "changed: one (send_to); removed: two",
        "changed: one (send_to); added: two",
        "-",
    ]
    told = call("rules", "history", "-c", site_file, "--json").json
    assert [(one["version"], one["source"], one["why"], one["in_force"]) for one in told] == [
        (first, "rollback", "ai is down", True),
        (second, "command", "ai is live", False),
        (first, "command", None, False),
    ]

    said = call("rules", "reload", "-c", site_file)
    assert said.out == f"in force: version {second}, 2 routes.\n"
    assert call("rules", "rollback", first[:5], "-c", site_file).code == 0
    assert in_force(ledger) == first


def test_a_version_that_no_longer_fits_is_not_rolled_back_to(
    call: Any, site_file: Path, rules_file: Path, ledger: Ledger
):
    rules_file.write_text("routes: [{name: one, send_to: quiet}]\n")
    call("rules", "reload", "-c", site_file)
    first = in_force(ledger)
    rules_file.write_text(ONE)
    call("rules", "reload", "-c", site_file)
    second = in_force(ledger)
    text = site_file.read_text().replace("- {name: quiet, folder: {path: quiet}}", "")
    site_file.write_text(text)
    said = call("rules", "rollback", first, "-c", site_file)
    assert said.code == 2
    assert "there is no destination quiet" in said.err
    assert in_force(ledger) == second


@pytest.mark.parametrize(("name", "code"), [("abcdef", 1), ("previous", 1), ("", 1)])
def test_a_version_that_is_not_there(
    call: Any, site_file: Path, rules_file: Path, ledger: Ledger, name: str, code: int
):
    call("rules", "reload", "-c", site_file)
    if not name:
        call("rules", "rollback", "-c", site_file)
    said = call("rules", "rollback", name or "x", "-c", site_file)
    assert said.code == code
    assert "there is no version" in said.err


def test_a_ledger_without_rules_has_no_history(call: Any, site_file: Path, ledger: Ledger):
    assert call("rules", "history", "-c", site_file).code == 1


def test_the_files_of_a_version_can_be_had_again(
    call: Any, site_file: Path, rules_file: Path, ledger: Ledger, tmp_path: Path
):
    call("rules", "reload", "-c", site_file)
    rules_file.write_text(TWO)
    call("rules", "reload", "-c", site_file)
    assert ONE in call("rules", "show", "previous", "-c", site_file).out
    told = call("rules", "show", "in-force", "-c", site_file, "--json").json
    assert told == {"version": in_force(ledger), "files": {"10-routes.yaml": TWO}}
    back = tmp_path / "back"
    assert call("rules", "show", "previous", "--into", back, "-c", site_file).code == 0
    assert (back / "10-routes.yaml").read_text() == ONE

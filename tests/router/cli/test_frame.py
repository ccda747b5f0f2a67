"""The root command: what it mounts, how quickly, and what all commands have in common."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from router.cli import COMMANDS, load

SLOW_TO_IMPORT = ("sqlalchemy", "alembic", "celery", "kombu", "pydicom", "pydantic", "structlog")


def test_help_lists_every_command(call: Any):
    said = call("--help")
    assert said.code == 0
    for name in COMMANDS:
        assert f" {name} " in said.out


def test_help_imports_nothing_slow():
    script = (
        "import sys\n"
        "from router.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    took = time.monotonic() - started
    assert "Commands" in done.stdout
    loaded = done.stderr.split()
    assert [name for name in SLOW_TO_IMPORT if name in loaded] == []
    assert took < 5  # 0.15 s on an idle machine; what matters is above


def test_a_misspelt_command_is_a_usage_error(call: Any):
    said = call("qeue")
    assert said.code == 2
    assert "queue" in said.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_answers_in_json(name: str):
    command = load(name)
    assert command.help, name
    for leaf, found in leaves(command, name):
        assert found.help, leaf
        options = {option for parameter in found.params for option in parameter.opts}
        assert "--json" in options, leaf


def leaves(command: Any, name: str) -> list[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below:
        return [(name, command)]
    return [leaf for sub, found in below.items() for leaf in leaves(found, f"{name} {sub}")]


def test_to_look_makes_no_ledger(call: Any, site_file: Path):
    said = call("queue", "-c", site_file)
    assert said.code == 3
    assert "there is no ledger" in said.err
    assert list((site_file.parent / "var").iterdir()) == []


def test_a_ledger_that_is_none_is_unavailable(call: Any, site_file: Path):
    (site_file.parent / "var" / "ledger.db").write_bytes(b"no database" * 100)
    said = call("queue", "-c", site_file)
    assert said.code == 3
    assert said.err.startswith("the ledger cannot be used: ")


def test_mistakes_in_the_site_end_any_command(call: Any, site_file: Path):
    site_file.write_text("listners: []", encoding="utf-8")
    said = call("trace", "1.2", "-c", site_file)
    assert said.code == 2
    assert "(did you mean listeners?)" in said.err

"""docs/cli.md has every command and every option, and only those."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.cli import COMMANDS, load
from router.cli.options import Exit

DOCUMENT = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
COMMON = {"--config", "--json", "--help"}
RUN_BY_WORKERS = {
    "run",
    "ingress",
    "worker rules",
    "worker egress",
    "worker commitment",
    "conductor",
}


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", DOCUMENT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield name, command
    for sub, found in below.items():
        yield from commands(found, f"{name} {sub}")


def options(command: Any) -> set[str]:
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--") and not getattr(parameter, "hidden", False)
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str):
    written = sections()
    filters = options(load("queue").commands["list"]) if name == "queue" else set()
    for title, command in commands(load(name), name):
        text = written[f"dicom-router {title}"]
        for option in options(command) - COMMON - (filters - {"--limit", "--after"}):
            assert f"`{option}`" in text or option == "--all", f"{title} {option}"


def test_filters_are_documented():
    table = DOCUMENT.split("### Filters")[1].split("\n## ")[0]
    for option in options(load("queue").commands["list"]) - COMMON - {"--limit", "--after"}:
        assert f"`{option}`" in table, option


def test_nothing_is_documented_that_is_not_there():
    titles = {title for title in sections() if title.startswith("dicom-router ")}
    known = {f"dicom-router {name}" for name in RUN_BY_WORKERS}
    for name in COMMANDS:
        known |= {f"dicom-router {title}" for title, _ in commands(load(name), name)}
    assert titles == known


def test_exit_codes_are_documented():
    written = re.findall(r"^\| (\d) \|", DOCUMENT, flags=re.MULTILINE)
    assert [int(code) for code in written] == [code.value for code in Exit]

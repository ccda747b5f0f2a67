"""Writes helm/README.md from the chart's values: `--check` only says whether it is current.

A comment that begins with `# --` describes the value below it. A block without one is described by
its members; a value that is described nowhere is an error.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "helm"
README = CHART / "README.md"
BEGIN, END = "<!-- values: made by scripts/chart_readme.py -->", "<!-- end of values -->"
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9]*):")


class Undocumented(Exception):
    """A value that no comment describes."""


@dataclass(frozen=True)
class Value:
    """A value by its path, its default as YAML, and what it is for."""

    path: str
    default: str
    meaning: str


def described(text: str) -> dict[str, str]:
    """Path to description, for the values that have a comment of their own."""
    found: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# -- "):
            comment = [bare.removeprefix("# -- ")]
        elif bare.startswith("# ") and comment:
            comment.append(bare.removeprefix("# "))
        elif key := KEY.match(line):
            above = [each for each in above if each[0] < len(key["indent"])]
            above.append((len(key["indent"]), key["key"]))
            if comment:
                found[".".join(name for _, name in above)] = " ".join(comment)
            comment = []
        else:
            comment = []
    return found


def values(text: str) -> list[Value]:
    """All values that have a description. Undocumented if one has none."""
    meanings = described(text)
    found = list(_values(yaml.safe_load(text), "", meanings))
    unknown = set(meanings) - {value.path for value in found}
    if unknown:
        raise Undocumented(f"described and not there, or within another: {', '.join(unknown)}")
    return found


def _values(block: dict[str, Any], path: str, meanings: dict[str, str]) -> Iterator[Value]:
    for key, default in block.items():
        name = f"{path}{key}"
        if name in meanings:
            shown = yaml.safe_dump(default, default_flow_style=True, width=10_000, sort_keys=False)
            yield Value(name, shown.removesuffix("...\n").strip(), meanings[name])
        elif isinstance(default, dict) and default:
            yield from _values(default, f"{name}.", meanings)
        else:
            raise Undocumented(f"{name} has no description")


def table(text: str) -> str:
    """The values as a table of Markdown."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in values(text):
        default = f"`{value.default}`".replace("|", "\\|") if value.default != "''" else ""
        rows.append(f"| `{value.path}` | {default} | {value.meaning} |")
    return "\n".join(rows)


def current() -> str:
    """The README with its table as the values are now."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    rows = table((CHART / "values.yaml").read_text(encoding="utf-8"))
    return f"{before}{BEGIN}\n\n{rows}\n\n{END}{after}"


def main() -> int:
    wanted = current()
    if "--check" not in sys.argv:
        README.write_text(wanted, encoding="utf-8")
    elif README.read_text(encoding="utf-8") != wanted:
        print("helm/README.md is not current: run scripts/chart_readme.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

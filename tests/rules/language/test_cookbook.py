"""docs/cookbook.md shows the files of the examples, word for word, and every example with tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
SHOWN = re.findall(
    r"^\[`[^`]+`\]\(\.\./([^)]+)\):\n\n```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
)
EXAMPLES = sorted(path.parent.name for path in (ROOT / "examples").glob("*/site.yaml"))


@pytest.mark.parametrize(("file", "text"), SHOWN, ids=lambda value: value.split("\n")[0][-40:])
def test_what_is_shown_is_the_file(file: str, text: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == text


def test_every_example_is_shown_but_the_one_to_begin_with() -> None:
    shown = {file.split("/")[1] for file, _ in SHOWN}
    assert shown == set(EXAMPLES) - {"default"}

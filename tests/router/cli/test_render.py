"""How values are shown."""

import pytest

from router.cli import render


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "12ms"),
        (0, "0ms"),
        (-1, "0ms"),
        (5, "5s"),
        (65, "1m 5s"),
        (3600, "1h"),
        (3605, "1h"),
        (90061, "1d 1h"),
        (259200, "3d"),
    ],
)
def test_durations(seconds: float, words: str):
    assert render.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (525_312, "525.3 KB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_sizes(count: int, words: str):
    assert render.size(count) == words


def test_times():
    assert render.iso(1_763_700_000_123) == "2025-11-21T04:40:00.123Z"
    assert render.iso(None) is None


def test_a_terminal_obeys_nothing_that_a_header_holds():
    assert render.shown("DOE\x1b[2J^\u202eJOHN\n") == "DOE?[2J^?JOHN?"
    assert render.shown("Müller^山田") == "Müller^山田"


def test_columns_are_as_wide_as_they_need(capsys: pytest.CaptureFixture[str]):
    render.say_table(["name", "count", "word"], [["a", 5, "x" * 300], ["long name", 12, None]])
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading == "name       count  word"
    assert first == f"a              5  {'x' * 300}"
    assert second == "long name     12  -"


def test_a_table_without_rows_has_its_headings(capsys: pytest.CaptureFixture[str]):
    render.say_table(["a", "b"], [])
    assert capsys.readouterr().out == "a  b\n"

"""YAML with places: what is kept, what is refused, and how it is told."""

from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from rules.documents.reading import DocumentError, Mistake, Section, load_document, parse_document


class Peer(Section):
    name: str
    port: int = Field(ge=1, le=65535)
    mode: Literal["fast", "slow"] = "fast"
    allowed: Literal["any"] | list[str] = "any"
    tls: bool = False

    @model_validator(mode="after")
    def _no_fast_tls(self) -> "Peer":
        if self.tls and self.mode == "fast":
            raise Mistake("tls is slow", at=("mode",), suggestion="slow")
        return self


class Site(Section):
    peers: tuple[Peer, ...] = ()
    extra: dict[str, Peer] = Field(default_factory=dict)
    limit: int | None = None


def problems(text: str) -> list[tuple[int, int, str, str, str | None]]:
    with pytest.raises(DocumentError) as caught:
        parse_document(text, "site.yaml").validate(Site)
    found = caught.value.problems
    return [(p.line, p.column, p.key, p.message, p.suggestion) for p in found]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0123", "0123"),
        ("1.50", "1.50"),
        ("no", "no"),
        ("On", "On"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("Null", "Null"),
        ("NULL", "NULL"),
        ("'null'", "null"),
        ("'~'", "~"),
        ('""', ""),
        ("!!str 012", "012"),
        ("! 012", "012"),
        ("null", None),
        ("~", None),
        ("", None),
        ("Müller", "Müller"),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_a_value_is_the_text_as_written(written: str, kept: str | None) -> None:
    assert parse_document(f"key: {written}").data == {"key": kept}


def test_the_model_decides_what_a_text_is() -> None:
    text = "peers: [{name: 0123, port: 104, tls: no}, {name: 'on', port: '4242'}]\nlimit: ~\n"

    site = parse_document(text).validate(Site)

    assert [(p.name, p.port, p.tls) for p in site.peers] == [
        ("0123", 104, False),
        ("on", 4242, False),
    ]
    assert site.limit is None


def test_aliases_stand_for_what_they_name() -> None:
    text = "peers:\n- &it {name: a, port: 1}\n- *it\n"
    assert parse_document(text).data == {"peers": [{"name": "a", "port": "1"}] * 2}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "\ufeffpeers: []\n"])
def test_a_file_without_a_word_is_an_empty_mapping(text: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_document(path).validate(Site).peers == ()


def test_every_mistake_is_told_in_the_order_of_the_file() -> None:
    text = """\
peers:
  - {name: a, port: 0}
  - {nme: b, port: x}
  - name: c
    prt: 3
    mode: slwo
    allowed: {a: b}
extra: {d: {name: d, port: 1, tls: true}}
peer: []
"""
    assert problems(text) == [
        (2, 15, "peers[0].port", "expected at least 1, found '0'", None),
        (3, 5, "peers[1].name", "this key is missing", None),
        (3, 6, "peers[1].nme", "unknown key", "name"),
        (3, 14, "peers[1].port", "expected a whole number, found 'x'", None),
        (4, 5, "peers[2].port", "this key is missing", None),
        (5, 5, "peers[2].prt", "unknown key", "port"),
        (6, 5, "peers[2].mode", "expected 'fast' or 'slow', found 'slwo'", "slow"),
        (
            7,
            5,
            "peers[2].allowed",
            "expected 'any' or a list (a dash before each item), found a mapping",
            None,
        ),
        (8, 9, "extra.d", "tls is slow", "slow"),
        (9, 1, "peer", "unknown key", "peers"),
    ]


def test_of_a_union_the_member_that_got_furthest_speaks() -> None:
    [(line, _, key, message, _)] = problems("peers: [{name: a, port: 1, allowed: [b, {c: d}]}]")
    assert (line, key, message) == (1, "peers[0].allowed[1]", "expected text, found a mapping")


def test_where_nothing_is_near_the_known_keys_are_listed() -> None:
    [(_, _, _, message, suggestion)] = problems("zzz: 1")
    assert (message, suggestion) == ("unknown key; known here: extra, limit, peers", None)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3", 3, "twice, first in line 1"),
        ("a: !!python/name:os.system x", 1, "not allowed"),
        ("a: !mine {b: c}", 1, "not allowed"),
        ("[a, b]: 1", 1, "a key must be a word"),
        ("a: *b", 1, "refers to no &b"),
        ("a: &a [*a]", 1, "stands inside"),
        ("a:\n  <<: {b: c}", 2, "merge keys"),
        ("a: 1\n---\nb: 2", 3, "a second document"),
        ("a: 'x", 1, "a quote is opened here"),
        ("b: 1\na: 'x\nc: 1\n", 2, "a quote is opened here"),
        ("a:\n- b: 1\n  when\n  c: 1\n", 3, "a colon is missing"),
        ("a: b: c", 1, "a word without its colon"),
        ("a:\n\tb: 1\n", 2, "use blanks"),
        ("a: b: c", 1, "not YAML"),
        ("a: \x07", 1, "does not allow"),
        ("- " * 60 + "x", 1, "levels of nesting"),
        ("a: &a [" + "x, " * 500 + "]\nb: &b [" + "*a, " * 500 + "]\nc: [*b]", 2, "more than"),
    ],
)
def test_what_is_no_sound_yaml_is_refused(text: str, line: int, says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(text)
    assert says in str(caught.value)
    assert caught.value.problems[0].line == line


def test_texts_can_be_replaced_and_what_fails_has_a_place() -> None:
    document = parse_document("peers:\n- name: $A\n  port: $B\n- name: c\n  port: 2\n")

    def reference(text: str) -> str:
        if text == "$B":
            raise ValueError("B is not set")
        return text.replace("$A", "a")

    with pytest.raises(DocumentError) as caught:
        document.with_text(reference)

    [problem] = caught.value.problems
    assert (problem.line, problem.key, problem.message) == (3, "peers[0].port", "B is not set")
    changed = document.with_text(lambda text: text.replace("$A", "a").replace("$B", "1"))
    assert changed.validate(Site).peers[0].name == "a"
    assert changed.problem(("peers", 0, "port"), "x").line == 3


def test_a_file_that_is_not_there_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        load_document(tmp_path / "none.yaml")
    with pytest.raises(DocumentError, match="cannot be read"):
        load_document(tmp_path)


@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#\n ~,?%@", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    places: list[tuple[int, int]] = []
    try:
        parse_document(text)
    except DocumentError as error:
        places = [(problem.line, problem.column) for problem in error.problems]
    assert all(line >= 1 and column >= 1 for line, column in places)


leaves = st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"]), max_size=10)
values = st.recursive(
    leaves,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(leaves, below, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(leaves.filter(lambda key: key != "<<"), values, max_size=4))
def test_what_yaml_writes_is_read_back(data: dict[str, object]) -> None:
    assert parse_document(yaml.safe_dump(data, allow_unicode=True, default_style='"')).data == data

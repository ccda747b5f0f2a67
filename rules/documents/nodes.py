"""YAML text as nodes: values and the places they were written at. Safe for any input.

Built from the parser's events, which still tell a written tag from an implied one. Tags, merge
keys, repeated keys and keys that are no words are problems; nesting and aliases are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import yaml

from rules.documents.problems import DocumentError, Problem, suggest

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"

DEEPEST = 40  # levels of nesting: far more than a rule needs, far less than Python's stack
MOST_VALUES = 200_000  # values after aliases are followed: a bound on alias bombs
NOTHING = frozenset({"", "~", "null"})  # when not in quotes; all else is text
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FRAME = (
    yaml.StreamStartEvent,
    yaml.StreamEndEvent,
    yaml.DocumentStartEvent,
    yaml.DocumentEndEvent,
)


@dataclass(slots=True)
class Node:
    """A value with the place it starts at; of a mapping, also the places of its keys."""

    value: str | list[Node] | dict[str, Node] | None
    line: int
    column: int
    size: int = 1
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)

    def plain(self) -> Value:
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read_nodes(text: str, file: str) -> Node:
    """The nodes of one YAML document; DocumentError with all that is wrong with it."""
    reader = _Reader(file)
    root = Node({}, 1, 1)
    try:
        root = reader.read(text)
    except yaml.MarkedYAMLError as error:
        mark, words = _in_plain_words(error, text)
        reader.complain(mark, f"this is not YAML: {words}")
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        message = "a character that YAML does not allow"
        reader.problems.append(Problem(file=file, line=line, column=1, key="", message=message))
    if reader.problems:
        raise DocumentError(reader.problems)
    return root


class _Reader:
    """Takes events, makes nodes, gathers problems; raises only what ends the reading."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()

    def read(self, text: str) -> Node:
        events: Iterator[Any] = iter(yaml.parse(text, Loader=LOADER))
        root: Node | None = None
        for event in events:
            if isinstance(event, FRAME):
                continue
            if root is not None:
                self.complain(event.start_mark, "a second document (---): a file holds one")
                break
            root = self._node(event, events, 0)
        if root is None or root.value is None:
            return Node({}, 1, 1)
        return root

    def complain(self, mark: Any, message: str, key: str = "", known: str | None = None) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(
            file=self.file, line=line, column=column, key=key, message=message, suggestion=known
        )
        self.problems.append(problem)

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, line, column)
        if depth > DEEPEST:
            raise _TooMuch(event, f"more than {DEEPEST} levels of nesting")
        if event.tag is not None and not _is_text(event):
            self.complain(event.start_mark, f"tags such as {event.tag} are not allowed")
        if event.anchor:
            self._open.add(event.anchor)
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(events, Node({}, line, column), depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(events, Node([], line, column), depth)
        else:
            nothing = not event.style and event.value in NOTHING
            node = Node(None if nothing else event.value, line, column)
        if event.anchor:
            self._open.discard(event.anchor)
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, events: Iterator[Any], node: Node, depth: int) -> Node:
        values: dict[str, Node] = {}
        node.value = values
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            self._grow(node, value, event)
            name = "null" if key.value is None else key.value
            mark = event.start_mark
            if not isinstance(name, str):
                self.complain(mark, "a key must be a word, not a list or a mapping")
            elif name == "<<":
                self.complain(mark, "merge keys (<<) are not supported: write the values out")
            elif name in values:
                first = node.keys[name][0]
                self.complain(mark, f"the key {name} is here twice, first in line {first}", name)
            else:
                values[name] = value
                node.keys[name] = (key.line, key.column)
        return node

    def _sequence(self, events: Iterator[Any], node: Node, depth: int) -> Node:
        items: list[Node] = []
        node.value = items
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            item = self._node(event, events, depth + 1)
            self._grow(node, item, event)
            items.append(item)
        return node

    def _alias(self, event: Any, line: int, column: int) -> Node:
        name = event.anchor
        if name in self._open:
            self.complain(event.start_mark, f"*{name} stands inside what it refers to", name)
        elif name not in self._anchors:
            known = suggest(name, self._anchors)
            self.complain(event.start_mark, f"*{name} refers to no &{name} above", name, known)
        else:
            return replace(self._anchors[name], line=line, column=column)
        return Node(None, line, column)

    def _grow(self, node: Node, below: Node, event: Any) -> None:
        node.size += below.size
        if node.size > MOST_VALUES:
            raise _TooMuch(event, f"more than {MOST_VALUES} values")


def _in_plain_words(error: yaml.MarkedYAMLError, text: str) -> tuple[Any, str]:
    """Where the mistake is, and what: the parser notices some only lines later."""
    words = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in words and "end of stream" in words:
        return error.context_mark, "a quote is opened here and never closed"
    if "could not find expected ':'" in words:
        return error.context_mark or mark, "a colon is missing after this word"
    if mark is not None and text[mark.index : mark.index + 1] == "\t":
        return mark, "a tabulator indents nothing: use blanks"
    line = "".join(text.splitlines()[mark.line : mark.line + 1]) if mark is not None else ""
    if "flow" in words and "${" in line:
        words += '; write "${NAME}" in quotes where it stands within braces or brackets'
    if "mapping values are not allowed" in words:
        words += "; is there a word without its colon before it, or a text with one not in quotes?"
    return mark, words


class _TooMuch(yaml.MarkedYAMLError):
    def __init__(self, event: Any, problem: str) -> None:
        super().__init__(problem=problem, problem_mark=event.start_mark)


def _is_text(event: Any) -> bool:
    """`!!str` and a lone `!` say what holds anyway: the value is the text as written."""
    return isinstance(event, yaml.ScalarEvent) and event.tag in ("!", "tag:yaml.org,2002:str")

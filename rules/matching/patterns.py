"""Regular expressions in rules: RE2's, so that no pattern a user writes can take for ever."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import re2

from rules.documents.problems import Mistake, Step

REFERENCE = re.compile(r"\\(\d)|\\(\\)|(\\)")
LOOK_AROUND = "RE2 has neither look-around nor back references"


class Match(Protocol):
    def group(self, number: int = 0, /) -> str | None: ...


class Pattern(Protocol):
    """What a compiled pattern of RE2 offers; it comes without types of its own."""

    groups: int

    def search(self, text: str, /) -> Match | None: ...

    def sub(self, replacement: Any, text: str, /) -> str: ...


def compile_pattern(text: str, *, at: Sequence[Step] = (), ignore_case: bool = False) -> Pattern:
    """The pattern, to be searched for anywhere in a text (`^` and `$` anchor it); or Mistake."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        pattern: Pattern = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown"
        words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        hint = f" ({LOOK_AROUND})" if "perl operator" in words or "escape" in words else ""
        raise Mistake(f"not a regular expression: {words}{hint}", at=at) from None
    return pattern


@dataclass(frozen=True, slots=True)
class Substitution:
    """The text that takes a match's place: pieces of text, and numbers of groups."""

    parts: tuple[str | int, ...]

    def __call__(self, match: Match) -> str:
        return "".join(p if isinstance(p, str) else match.group(p) or "" for p in self.parts)


def parse_substitution(text: str, groups: int, *, at: Sequence[Step] = ()) -> Substitution:
    """`\\1` to `\\9` stand for groups, `\\0` for the match, `\\\\` for a backslash."""
    parts: list[str | int] = []
    end = 0
    for token in REFERENCE.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        if token[3]:
            raise Mistake("a lone backslash: write \\\\ for one, \\1 for a group", at=at)
        if token[1] and int(token[1]) > groups:
            raise Mistake(f"\\{token[1]} refers to a group, but the pattern has {groups}", at=at)
        parts.append(int(token[1]) if token[1] else "\\")
    parts.append(text[end:])
    return Substitution(tuple(part for part in parts if part != ""))

"""Texts with `{Keyword}` in them: what an edit writes. Doubled braces stand for themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from rules.documents.problems import Mistake
from rules.tags import AttributePath, parse_path

TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """`parts` in order: texts as they are, paths to be replaced by the object's own value.

    Several values of a multi-valued attribute are separated by backslashes in `text`, as in DICOM.
    """

    text: str
    parts: tuple[str | AttributePath, ...]

    @property
    def is_constant(self) -> bool:
        return all(isinstance(part, str) for part in self.parts)

    @property
    def fields(self) -> tuple[AttributePath, ...]:
        return tuple(part for part in self.parts if isinstance(part, AttributePath))

    def render(self, value_of: Callable[[AttributePath], str]) -> str:
        """The text with every field replaced; what `value_of` raises passes through."""
        return "".join(part if isinstance(part, str) else value_of(part) for part in self.parts)

    def __str__(self) -> str:
        return self.text


def parse_template(text: str) -> Template:
    """Mistake for a lone brace or a field that is no attribute."""
    parts: list[str | AttributePath] = []
    end = 0
    for token in TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        if token[0] in ("{{", "}}"):
            parts.append(token[0][0])
        elif token[1] is None:
            raise Mistake(f"{text!r} has a lone {token[0]}: write it twice, or close the field")
        else:
            parts.append(parse_path(token[1]))
    parts.append(text[end:])
    return Template(text, _joined(parts))


def _joined(parts: list[str | AttributePath]) -> tuple[str | AttributePath, ...]:
    joined: list[str | AttributePath] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)

"""A YAML file as plain values that remember where they were written.

`load_document` reads one file and `Document.validate` turns it into a pydantic model; whatever is
wrong comes out as a `DocumentError` that holds every `Problem` with file, line, column, key and,
where there is one, the word that was probably meant.

Every scalar stays the text that was written; the model decides what it is. So an AE title `0123`
keeps its zero, a surname `No` is no boolean, and `port: 11112` is still a number. Only an empty
value, `~` and `null` are nothing. Tags, merge keys and repeated keys are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from rules.documents.nodes import Node, Value, read_nodes
from rules.documents.problems import (
    DocumentError,
    Mistake,
    Problem,
    Step,
    dotted,
    one_of_each,
    suggest,
)
from rules.documents.wording import Complaint, complaints

__all__ = [
    "Document",
    "DocumentError",
    "Mistake",
    "Problem",
    "Section",
    "load_document",
    "parse_document",
    "read_text",
    "suggest",
]

ModelT = TypeVar("ModelT", bound=BaseModel)


class Section(BaseModel):
    """A mapping in a document: unknown keys are errors, and what was read does not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=False, arbitrary_types_allowed=True
    )


@dataclass(frozen=True, slots=True)
class Document:
    """One file that was read: its text, its values, and the way from a key to its line."""

    file: str
    text: str
    root: Node

    @property
    def data(self) -> Value:
        """The values: text, None, lists and mappings. An empty file is an empty mapping."""
        return self.root.plain()

    def problem(self, path: Sequence[Step], message: str, suggestion: str | None = None) -> Problem:
        """A problem at this path; where the path leads nowhere, at the nearest place above."""
        found, line, column = self._locate(path)
        return Problem(
            file=self.file,
            line=line,
            column=column,
            key=dotted(found),
            message=message,
            suggestion=suggestion,
        )

    def validate(
        self, model: type[ModelT], *, context: Mapping[str, object] | None = None
    ) -> ModelT:
        """This document as `model`; DocumentError with all that does not fit.

        `context` is what the model's validators find in their `info.context`.
        """
        try:
            return model.model_validate(self.data, context=context)
        except ValidationError as error:
            found = [self._problem_of(complaint) for complaint in complaints(error, model)]
            raise DocumentError(one_of_each(found)) from None

    def with_text(self, change: Callable[[str], str]) -> Document:
        """The same document with every value (no key) passed through `change`.

        For references such as `${NAME}`; a ValueError from `change` is a problem of that value.
        """
        problems: list[Problem] = []

        def changed(node: Node, path: tuple[Step, ...]) -> Node:
            if isinstance(node.value, dict):
                below = {key: changed(sub, (*path, key)) for key, sub in node.value.items()}
                return replace(node, value=below)
            if isinstance(node.value, list):
                items = [changed(sub, (*path, index)) for index, sub in enumerate(node.value)]
                return replace(node, value=items)
            if node.value is None:
                return node
            try:
                return replace(node, value=change(node.value))
            except ValueError as error:
                problems.append(self.problem(path, str(error)))
                return node

        root = changed(self.root, ())
        if problems:
            raise DocumentError(problems)
        return Document(self.file, self.text, root)

    def _locate(self, path: Sequence[Step]) -> tuple[list[Step], int, int]:
        node, found = self.root, list[Step]()
        line, column = node.line, node.column
        for step in path:
            below = _below(node, step)
            if below is None:
                continue
            if isinstance(step, str):
                line, column = node.keys[step]
            else:
                line, column = below.line, below.column
            node = below
            found.append(step)
        return found, line, column

    def _problem_of(self, complaint: Complaint) -> Problem:
        problem = self.problem(complaint.path, complaint.message, complaint.suggestion)
        if complaint.missing is None:
            return problem
        key = f"{problem.key}.{complaint.missing}".lstrip(".")
        return replace(problem, key=key)


def load_document(path: Path) -> Document:
    """Read one YAML file; DocumentError when it cannot be read or is not sound YAML."""
    return parse_document(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file in UTF-8; DocumentError when it cannot be read as that."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        line, message = 1, f"the file cannot be read: {error.strerror or error}"
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = "this line is not UTF-8 text: save the file as UTF-8"
    problem = Problem(file=str(path), line=line, column=1, key="", message=message)
    raise DocumentError([problem])


def parse_document(text: str, file: str = "<text>") -> Document:
    """The same for text that is at hand; `file` is what the problems name."""
    return Document(file, text, read_nodes(text, file))


def _below(node: Node, step: Step) -> Node | None:
    if isinstance(node.value, dict) and isinstance(step, str):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None

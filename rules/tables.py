"""Tables (CSV) and lists (text) that rules refer to: files beside the rule files, read once.

A file that does not exist is a Mistake where it is named; what is wrong inside a file is a
Problem of that file, with its line and column.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rules.documents.problems import DocumentError, Mistake, Problem, suggest
from rules.documents.reading import read_text

LARGEST = 64 << 20
"""Bytes of one file: a million patients."""
SEPARATORS = ",;\t"
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a list and where it stands."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


@dataclass(slots=True)
class Tables:
    """The files by the names that rules give them, relative to the folder of the rules.

    Without a folder there are none. `problems`: what was wrong inside those that were read.
    """

    folder: Path | None
    problems: list[Problem] = field(default_factory=list)
    _texts: dict[str, str] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set)
    _tables: dict[str, _Table] = field(default_factory=dict)
    _mappings: dict[tuple[str, str, str], Mapping[str, str]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were asked for so far, in name order."""
        return tuple(self._path(name) for name in sorted(self._texts))

    @property
    def digests(self) -> Mapping[str, str]:
        """What stands for the content of each file that was asked for, by its name."""
        return {name: self.digest(name) for name in sorted(self._texts)}

    def digest(self, name: str) -> str:
        return hashlib.sha256(self._text(name).encode()).hexdigest()[:16]

    def entries(self, name: str) -> tuple[Line, ...]:
        """The lines of a list without blanks around them; `#` begins a line that is a remark."""
        lines = enumerate(self._text(name).splitlines(), 1)
        found = [Line(text.strip(), number) for number, text in lines]
        return tuple(one for one in found if one.text and not one.text.startswith("#"))

    def columns(self, name: str) -> tuple[str, ...]:
        """The columns that the first line of a table names."""
        return self._table(name).columns

    def mapping(self, name: str, key: str | None, value: str | None) -> Mapping[str, str]:
        """From the texts of one column to those of another; by default the first two columns.
        Mistake at `table`, `key` or `value`, as `lookup` calls them."""
        table = self._table(name)
        for word, column in (("key", key), ("value", value)):
            if column is not None and column not in table.columns and table.columns:
                known = ", ".join(table.columns)
                near = suggest(column, table.columns)
                raise Mistake(f"{name} has the columns {known}", at=(word,), suggestion=near)
        if len(table.columns) < 2:
            return {}  # a problem of the file, told already
        chosen = (key or table.columns[0], value or table.columns[1])
        place = (name, *chosen)
        if place not in self._mappings:
            self._mappings[place] = self._mapped(name, table, *chosen)
        return self._mappings[place]

    def check(self, name: str, value: str | None, why_not: Callable[[str], str | None]) -> None:
        """Complain of every text in the column (by default the second) that will not do."""
        table = self._table(name)
        if len(table.columns) < 2:
            return
        column = table.columns.index(value) if value else 1
        for line, row in table.rows:
            if why := why_not(row[column]):
                self.complain(name, line, why, column + 1, table.columns[column])

    def complain(self, name: str, line: int, message: str, column: int = 1, key: str = "") -> None:
        """Something is wrong in this file; enough is enough."""
        file = str(self._path(name))
        if len([problem for problem in self.problems if problem.file == file]) < MOST_PROBLEMS:
            self.problems.append(
                Problem(file=file, line=line, column=column, key=key, message=message)
            )

    def _mapped(self, name: str, table: _Table, key: str, value: str) -> Mapping[str, str]:
        at_key, at_value = table.columns.index(key), table.columns.index(value)
        found: dict[str, str] = {}
        lines: dict[str, int] = {}
        for line, row in table.rows:
            if not row[at_key]:
                self.complain(name, line, "a row without a key", at_key + 1, key)
            elif found.get(row[at_key], row[at_value]) != row[at_value]:
                earlier = lines[row[at_key]]
                message = f"this key stands in line {earlier}, too, with another {value}"
                self.complain(name, line, message, at_key + 1, key)
            else:
                found[row[at_key]] = row[at_value]
                lines.setdefault(row[at_key], line)
        return found

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            text = self._text(name)
            sound = name not in self._unreadable
            self._tables[name] = self._parsed(name, text) if sound else _Table((), ())
        return self._tables[name]

    def _parsed(self, name: str, text: str) -> _Table:
        """A table of no columns where the file is no table."""
        lines = text.splitlines()
        head = lines[0] if lines else ""
        separator = max(SEPARATORS, key=head.count)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        columns: tuple[str, ...] = ()
        rows: list[tuple[int, tuple[str, ...]]] = []
        try:
            for cells in reader:
                row = tuple(cell.strip() for cell in cells)
                if reader.line_num == 1:
                    columns = row
                elif any(row) and self._is_row(name, reader.line_num, row, columns):
                    rows.append((reader.line_num, row))
        except csv.Error as error:
            self.complain(name, reader.line_num, f"this line is not CSV: {error}")
        return _Table(columns if self._are_columns(name, columns) else (), tuple(rows))

    def _are_columns(self, name: str, columns: tuple[str, ...]) -> bool:
        if len(columns) < 2:
            wanted = "the first line names the columns, at least two of them, as in: old,new"
            self.complain(name, 1, wanted)
            return False
        for index, column in enumerate(columns):
            if not column:
                self.complain(name, 1, "a column without a name", index + 1)
            elif column in columns[:index]:
                self.complain(name, 1, f"the column {column} is there twice", index + 1, column)
        return True

    def _is_row(self, name: str, line: int, row: tuple[str, ...], columns: tuple[str, ...]) -> bool:
        if len(row) == len(columns) or len(columns) < 2:
            return len(columns) >= 2
        message = f"{len(row)} values, but the first line names {len(columns)} columns"
        self.complain(name, line, message, min(len(row), len(columns)))
        return False

    def _text(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = self._read(name)
        return self._texts[name]

    def _read(self, name: str) -> str:
        if self.folder is None:
            raise Mistake(f"{name} cannot be read: these rules are not in a folder")
        path = self._path(name)
        if not path.is_file():
            near = suggest(name, self._neighbours())
            raise Mistake(f"there is no file {path}", suggestion=near)
        if path.stat().st_size > LARGEST:
            raise Mistake(f"{name} has over {LARGEST >> 20} MiB")
        try:
            return read_text(path)
        except DocumentError as error:
            self.problems += error.problems
            self._unreadable.add(name)
            return ""

    def _neighbours(self) -> list[str]:
        assert self.folder is not None
        files = self.folder.iterdir() if self.folder.is_dir() else ()
        return [path.name for path in files if path.suffix not in (".yaml", ".yml")]

    def _path(self, name: str) -> Path:
        return (self.folder or Path()) / name

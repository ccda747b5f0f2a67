"""How commands show things: JSON for programs, aligned columns for people."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Cell: TypeAlias = str | int | None

_MOMENTS = frozenset({"at", "down_since", "lease_until", "owed_since"})
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def say_json(value: object) -> None:
    """One JSON value on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_as_json))


def say_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Columns as wide as they need to be; numbers to the right. Nothing is cut off."""
    texts = [[shown(cell) for cell in row] for row in rows]
    widths = [
        max(len(heading), *(len(row[index]) for row in texts), 0)
        for index, heading in enumerate(headings)
    ]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(headings))]
    for line in [list(headings), *texts]:
        cells = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        typer.echo("  ".join(cells).rstrip())


def shown(cell: Cell) -> str:
    """A cell's text: nothing that a terminal would obey, whatever a file's header holds."""
    text = "-" if cell is None else str(cell)
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def plain(value: object) -> object:
    """Dataclasses and named tuples as JSON objects, their times (milliseconds) as ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_fields(value)
    if isinstance(value, tuple) and (names := getattr(value, "_fields", ())):
        return _plain_items(zip(names, value, strict=True))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value


def plain_fields(value: "DataclassInstance") -> dict[str, object]:
    """A dataclass as a JSON object, to which more can be added."""
    return _plain_items((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))


def _plain_items(items: Iterable[tuple[str, object]]) -> dict[str, object]:
    return {name: _time_or_plain(name, field) for name, field in items}


def _time_or_plain(name: str, value: object) -> object:
    if isinstance(value, int) and (name.endswith("_at") or name in _MOMENTS):
        return iso(value)
    return plain(value)


def iso(ms: int | None) -> str | None:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(ms: int | None) -> str:
    """Milliseconds since the epoch as this machine's local time."""
    if ms is None:
        return "-"
    moment = datetime.fromtimestamp(ms / 1000, tz=UTC).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Two units are enough: `3d 4h`, `12m 5s`, `40ms`."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    left, parts = int(seconds), list[str]()
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def size(count: int) -> str:
    """Bytes for a person: `525.0 KB`."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int) or cell is None or cell == ""


def _as_json(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")

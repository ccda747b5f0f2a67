"""Durations as people write them: `250ms`, `30s`, `10m`, `24h`, `3d`, `1h30m`; in seconds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

LONGEST = 10 * 365 * 86400
"""Seconds: ten years. What is longer was not meant."""


def parse_duration(value: object) -> object:
    """Seconds from `250ms`, `30s`, `10m`, `24h`, `3d`, `1h30m`; a bare number is seconds."""
    if isinstance(value, bool):
        raise ValueError("write a duration such as 30s, 10m, 24h or 3d")
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{value!r} is not a duration: write 30s, 10m, 24h or 3d")
    if text[-1].isdigit():
        return float(text)
    return sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text))


def in_words(seconds: float) -> str:
    """`90.0` as `1m30s`, close to how it was written."""
    parts, left = [], round(seconds * 1000)
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    if left:
        parts.append(f"{left}ms")
    return "".join(parts) or "0s"


_NUMBER = r"\d{1,15}(?:\.\d{1,9})?"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")
_DURATION = re.compile(rf"{_NUMBER}|(?:{_NUMBER}(?:ms|s|m|h|d|w))+")

#: What an editor may be told of a duration.
DURATION_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "examples": ["30s", "3d"]}]}

#: Seconds.
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0, le=LONGEST),
    WithJsonSchema(DURATION_SCHEMA),
]

"""Where in a folder an object's file goes: a template filled so that it cannot lead elsewhere.

A value becomes part of one name: it never makes a folder, never climbs, never hides a file. A
value that had to be changed for that gets a digest, so that two values never share a name.
"""

import re
import unicodedata
from collections.abc import Callable

import xxhash

from rules.tags import AttributePath, parse_path

ABSENT = "unknown"
LONGEST_VALUE = 96  # bytes: a name holds 255, and may have two values, digests and a suffix

_FIELD = re.compile(r"\{([^{}]*)\}")
# Separators, what shells and Windows shares trip over, and anything that cannot be seen.
_UNSAFE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\ud800-\udfff]')

ValueOf = Callable[[AttributePath], str | None]


class Layout:
    """A parsed template such as `{PatientID}/{SOPInstanceUID}.dcm`."""

    def __init__(self, template: str) -> None:
        """ValueError (rules.documents.problems.Mistake is one) when it is not one."""
        self._names = [_parse(name) for name in template.split("/") if name not in ("", ".")]
        if not self._names or ".." in template.split("/"):
            raise ValueError("a layout names a file inside its folder")

    def names(self, value_of: ValueOf) -> list[str]:
        """The names of the folders, then of the file."""
        return [
            "".join(part if isinstance(part, str) else safe(value_of(part)) for part in parts)
            for parts in self._names
        ]


def safe(value: str | None) -> str:
    """A value as part of a file's name; two different values never give the same."""
    text = unicodedata.normalize("NFC", (value or "").strip(" \0"))
    if not text:
        return ABSENT
    cleaned = _UNSAFE.sub("_", text).encode()[:LONGEST_VALUE].decode(errors="ignore")
    if cleaned[0] == ".":
        cleaned = "_" + cleaned[1:]
    if cleaned[-1] in ". ":
        cleaned = cleaned[:-1] + "_"
    # An honest value that looks like ours gets a digest too: otherwise it could pose as another.
    if cleaned == text and "~" not in text and text != ABSENT:
        return text
    return f"{cleaned}~{xxhash.xxh3_64_hexdigest(text.encode('utf-8', 'surrogatepass'))[:10]}"


def _parse(name: str) -> list[str | AttributePath]:
    parts: list[str | AttributePath] = []
    for n, part in enumerate(_FIELD.split(name)):
        if n % 2:
            parts.append(parse_path(part))
        elif part:
            if "{" in part or "}" in part:
                raise ValueError("a layout has placeholders such as {PatientID}")
            parts.append(part)
    return parts

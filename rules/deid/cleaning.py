"""Free text without what identifies: what the same object says elsewhere, and what looks like it.

This cleans what is written as people write it; nobody can promise it for every text. The options
that keep text are for sites that look at what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from rules.deid.spellings import is_without_blanks, joined_names, variants

_SHORTEST_NAME: Final = 2
_SHORTEST_PART: Final = 3
_SHORTEST_WORD: Final = 4
_LONGEST: Final = 64
_SEPARATORS: Final = re.compile(r"[\s^=,;/\\()\[\]\"]+")
_PARTS: Final = re.compile(r"[-'\u2019]")
_BLANKS: Final = re.compile(r"[ \t]{2,}")

LOOKS_IDENTIFYING: Final = re.compile(
    r"""
      \S+@\S+\.\S+                                  # e-mail
    | \b(?:https?|ftp)://\S+ | \bwww\.\S+
    | \b\d+(?:\.\d+){3,}                            # UIDs, IP addresses
    | \b\d{4}[-./]\d{1,2}[-./]\d{1,2}\b | \b\d{1,2}[-./]\d{1,2}[-./]\d{2,4}\b
    | \b\d{1,2}\.?[ -]?MONTH[a-z]*\.?[ -]?\d{2,4}\b
    | \bMONTH[a-z]*\.?[ ]\d{1,2},?[ ]\d{2,4}\b
    | \b[A-Z]{0,4}[-:#]?\d{5,}[A-Z]?\b              # numbers of patients, orders, phones; dates
    | \+?\(?\d{2,5}\)?(?:[ /-]\d{2,}){2,}           # telephone
    | \b(?:dr|prof|mr|mrs|ms|miss|herr|frau|hr|fr|sr|mme|m|md)\.?[ ]+(?-i:[A-Z])[\w'-]+
      (?:[ ]+(?-i:[A-Z])[\w'-]+)?
    """.replace("MONTH", "(?:jan|feb|mar|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])"),
    re.VERBOSE | re.IGNORECASE,
)


class Vocabulary:
    """What identifies in this object, gathered from the attributes that are taken out of it."""

    def __init__(self, names: Iterable[str], others: Iterable[str]) -> None:
        """`names` of people, and other texts: numbers, places, institutions."""
        words = {word for name in names for word in _of_name(name) if len(word) >= _SHORTEST_NAME}
        for text in others:
            if _SHORTEST_WORD <= len(text.strip()) <= _LONGEST:
                words.add(text.strip())
            words.update(word for word in _words(text) if _tells(word))
        self._known = _pattern(words)

    def clean(self, text: str) -> str:
        """The text without them; the same text where there are none."""
        cleaned = LOOKS_IDENTIFYING.sub("", text)
        cleaned = self._known.sub("", cleaned) if self._known is not None else cleaned
        return text if cleaned == text else _BLANKS.sub(" ", cleaned).strip()

    def found_in(self, text: str) -> bool:
        """Whether the text has any of it."""
        return self.clean(text) != text


def _pattern(words: set[str]) -> re.Pattern[str] | None:
    """Any of the words, standing alone where its script parts words by blanks; longest first."""
    ordered = sorted(words, key=lambda word: (-len(word), word))
    alone = [re.escape(word) for word in ordered if not is_without_blanks(word)]
    anywhere = [re.escape(word) for word in ordered if is_without_blanks(word)]
    if alone:
        anywhere.append(r"(?<![^\W_])(?:" + "|".join(alone) + r")(?![^\W_])")
    return re.compile("|".join(anywhere), re.IGNORECASE) if anywhere else None


def _of_name(name: str) -> Iterator[str]:
    """The words of a name, those of double names too, each as others may spell it."""
    yield from joined_names(name)
    for word in _words(name):
        parts = [part for part in _PARTS.split(word) if len(part) >= _SHORTEST_PART]
        for one in {word, *parts}:
            yield one
            yield from variants(one)


def _words(text: str) -> Iterator[str]:
    return (word.strip(".:'-_") for word in _SEPARATORS.split(text))


def _tells(word: str) -> bool:
    """A part of a number of several words; a plain word tells nothing by itself."""
    return len(word) >= _SHORTEST_WORD and any(char.isdigit() for char in word)

"""Conditions that no object meets, or every object, or that say something else than they seem."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.datadict import dictionary_VM

from rules.documents.problems import Mistake, suggest
from rules.lint.findings import Finding, Level, at
from rules.lint.terms import DEFINED, ENUMERATED
from rules.lint.wanted import Wanted
from rules.matching.patterns import Pattern, compile_pattern
from rules.routes import CompiledRoute

# Longest value of a VR, in characters (PS3.5 table 6.2-1): a longer text equals no valid value.
LONGEST = {"AE": 16, "AS": 4, "CS": 16, "DS": 16, "IS": 12, "LO": 64, "SH": 16, "UI": 64}
RANGES = {
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "UL": (0, 2**32 - 1),
    "SL": (-(2**31), 2**31 - 1),
    "IS": (-(2**31), 2**31 - 1),
}
CODE = re.compile(r"[A-Z0-9_ ]*")
SAMPLES = ("", "A", "0", "CT Thorax nativ", "Doe^Jane", "-", "ä\n", "1.2.840.10008")


def of_values(route: CompiledRoute, each: Wanted) -> Iterator[Finding]:
    """All that is wrong with one condition by itself."""
    condition, path = each.condition, each.path
    for word in ("value", "one_of"):
        texts = each.equal_to() if getattr(condition, word) is not None else ()
        for index, text in enumerate(texts):
            place = (*path, word, *([index] if word == "one_of" else []))
            yield from _text(route, each, place, text)
    if condition.one_of is not None:
        yield from _repeated(route, each, condition.one_of)
    for word in ("starts_with", "ends_with", "contains", "like"):
        if (text := getattr(condition, word)) is not None:
            yield from _search(route, each, word, text)
    if condition.matches is not None:
        yield from _pattern(route, each, condition.matches)


def _text(
    route: CompiledRoute, each: Wanted, place: tuple[str | int, ...], text: str
) -> Iterator[Finding]:
    vr = each.vr
    if each.fact.path is None or vr is None or "\\" in text:
        return
    if "*" in text and vr != "UI":
        message = f"{text!r} is compared as it stands: in value and one_of, * is a star"
        yield at(route, place, "wildcard", message, fix=f'Write {{like: "{text}"}}')
        return
    impossible = _impossible(vr, text)
    if impossible is not None:
        message, fix, meant = impossible
        full = f"never true: {message} (VR {vr})"
        yield at(route, place, "impossible-value", full, fix=fix, suggestion=meant)
        return
    yield from _term(route, each, place, text)


def _impossible(vr: str, text: str) -> tuple[str, str, str | None] | None:
    """Why no value of this VR is this text, what to do, and what was meant."""
    if vr == "CS" and not CODE.fullmatch(text):
        if CODE.fullmatch(text.upper()):
            fix = "Capitals count in value and one_of; in like and contains they do not"
            return "values of this attribute are in capitals", fix, text.upper()
        fix = "Capitals, digits, blanks and underscores are all there is"
        return "values of this attribute are codes", fix, None
    if len(text.strip()) > LONGEST.get(vr, len(text)):
        fix = "Use starts_with or contains if devices send more than they may"
        return f"a valid value has at most {LONGEST[vr]} characters", fix, None
    if vr in RANGES:
        number = _number(text)
        low, high = RANGES[vr]
        if number is None or not number.is_integer() or not low <= number <= high:
            return f"a value is a whole number from {low} to {high}", "Write such a number", None
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _term(
    route: CompiledRoute, each: Wanted, place: tuple[str | int, ...], text: str
) -> Iterator[Finding]:
    name = (each.fact.path.tag.keyword if each.fact.path else None) or ""
    if name in ENUMERATED and text not in ENUMERATED[name]:
        known = ENUMERATED[name]
        message = f"{text!r} is not among the values that the standard has for {name}"
        fix = f"It knows {', '.join(sorted(known))}"
        near = suggest(text, known)
        yield at(route, place, "enumerated-value", message, fix=fix, suggestion=near)
    elif name in DEFINED and text not in DEFINED[name]:
        near = suggest(text, DEFINED[name])
        level: Level = "warning" if near else "hint"
        message = f"{text!r} is no defined term of {name}"
        fix = "Right only if one of your devices really sends it"
        yield at(route, place, "defined-term", message, fix=fix, level=level, suggestion=near)


def _repeated(route: CompiledRoute, each: Wanted, texts: tuple[str, ...]) -> Iterator[Finding]:
    for index, text in enumerate(texts):
        if text in texts[:index]:
            place = (*each.path, "one_of", index)
            message = f"{text!r} is in the list already"
            yield at(route, place, "repeated-value", message, fix="Take it out", level="hint")


def _search(route: CompiledRoute, each: Wanted, word: str, text: str) -> Iterator[Finding]:
    place = (*each.path, word)
    ends = {"starts_with": text[:1], "ends_with": text[-1:]}
    if ends.get(word) == " ":
        message = "never true: values are compared without the blanks at their ends"
        yield at(route, place, "blank", message, fix=f'Write "{text.strip()}"')
    if word == "like":
        if not text.strip("*"):
            yield _everything(route, each, place)
        elif "*" not in text and "?" not in text:
            message = "there is neither * nor ? in it: the whole text must be this, capitals aside"
            fix = f'Write "*{text}*" or contains for a part'
            yield at(route, place, "wildcard", message, fix=fix, level="hint")
        elif re.search(r"\.\*|\\[dws]|\[.*\]|^\^|\$$", text):
            message = "this looks like a regular expression; like knows only * and ?"
            yield at(route, place, "wildcard", message, fix="Write it under matches")
    longest = LONGEST.get(each.vr or "")
    least = len(text.replace("*", "")) if word == "like" else len(text)
    if longest is not None and least > longest:
        message = f"never true: a valid value has at most {longest} characters (VR {each.vr})"
        yield at(route, place, "impossible-value", message, fix="Shorten it")


def _everything(route: CompiledRoute, each: Wanted, place: tuple[str | int, ...]) -> Finding:
    message = f"true of every object that has {each.fact.name}"
    fix = "Write {present: true}, or {empty: false} if it must have a value"
    return at(route, place, "matches-everything", message, fix=fix)


def _pattern(route: CompiledRoute, each: Wanted, text: str) -> Iterator[Finding]:
    place = (*each.path, "matches")
    try:
        pattern: Pattern = compile_pattern(text)
    except Mistake:
        return  # told when the rules were loaded
    if all(pattern.search(sample) for sample in SAMPLES):
        yield _everything(route, each, place)
    elif _cannot_match(text):
        message = "never true: text cannot go on after $, nor begin before ^"
        fix = "Write \\$ or \\^ for the sign itself"
        yield at(route, place, "matches-nothing", message, fix=fix)
    elif each.vr == "CS" and "(?" not in text and _letters(text) != _letters(text).upper():
        message = "never true: values of this attribute are in capitals (VR CS)"
        yield at(route, place, "matches-nothing", message, fix=f'Write "(?i){text}"')
    elif re.fullmatch(r"[A-Z_a-z0-9 ]*\*", text):
        meant = text.rstrip("*")
        message = f"* repeats the letter before it: this is true of {meant[:-1]!r}, too"
        fix = f'Write {{like: "{text}"}}, or {{matches: "^{meant}"}}'
        yield at(route, place, "wildcard", message, fix=fix)


def _letters(pattern: str) -> str:
    """The letters that the pattern asks for, without classes, escapes and optional parts."""
    return re.sub(r"\\.|\[[^\]]*\]|\w[?*]|\([^)]*\)|\{[^}]*\}|.*\|.*", "", pattern)


def _cannot_match(pattern: str) -> bool:
    """A literal straight after `$` or straight before `^`, outside classes and alternatives."""
    plain = re.sub(r"\\.|\[[^\]]*\]", "x", pattern)
    if "|" in plain or "(?" in plain:
        return False
    return bool(re.search(r"\$\w", plain) or re.search(r"\w\^", plain))


def has_one_value(each: Wanted) -> bool:
    """Whether the fact has one value at most, so that it cannot be two things at once."""
    path = each.fact.path
    if path is None:
        return each.fact.name != "sop_class"  # a class has a name and belongs to groups
    if path.is_nested or path.tag.creator is not None:
        return False
    try:
        return dictionary_VM(path.tag.number) == "1"
    except KeyError:
        return False

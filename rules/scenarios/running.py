"""Runs the tests that users write beside their rules (*.test.yaml), through what runs in service:
the object is encoded, its facts are read from the bytes, and its edits are carried out on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.documents.problems import one_of_each
from rules.documents.reading import Document, DocumentError, Mistake, Problem, load_document
from rules.editing.schema_pixels import TransferSyntax
from rules.edits import EditFailed, apply_edits
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Slice
from rules.explaining import why_not
from rules.facts import Facts, FileFacts, GroupFacts, SourceFacts
from rules.matching.kinds import kind_of_vr
from rules.matching.names import GROUP, NAMED, parse_fact
from rules.routes import RouteTable, match
from rules.scenarios.coverage import Coverage
from rules.scenarios.samples import made_of
from rules.scenarios.schema import Arrival, Expectation, Scenario, ScenarioFile
from rules.tags import parse_path
from rules.uids import uid_named
from rules.verdict import Dispatch, Verdict

MOST_TOLD = 3  # routes that are told not to match
LONG_DOWN = 7.0 * 86400  # seconds: longer than any group waits for a member
CLASS_OF_NO_GROUP = "1.2.840.10008.5.1.4.1.1.66"  # Raw Data Storage
IDENTITY = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
SOURCE = {"calling_ae_title": "", "called_ae_title": "", "address": "", "listener": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One test that was run; it passed when nothing differs."""

    file: str
    line: int
    name: str
    differences: tuple[str, ...]
    why: tuple[str, ...] = ()  # why routes to destinations that were expected do not match

    @property
    def passed(self) -> bool:
        return not self.differences


ReadSample = Callable[[Path], EncodedDataSet]


def load_scenarios(path: Path) -> tuple[Document, tuple[Scenario, ...]]:
    """The tests of one file; DocumentError."""
    document = load_document(path)
    return document, document.validate(ScenarioFile).tests


def run_scenarios(
    table: RouteTable,
    files: Sequence[Path],
    *,
    read_sample: ReadSample,
    coverage: Coverage | None = None,
) -> list[Result]:
    """Run every test of these files. `read_sample` opens a Part 10 file (OSError, ValueError).
    `coverage` takes note of what the tests have seen.

    DocumentError when a file is no test file: unknown keys, misspelt attributes, missing samples.
    """
    results: list[Result] = []
    problems: list[Problem] = []
    for path in files:
        try:
            document, tests = load_scenarios(path)
        except DocumentError as error:
            problems += error.problems
            continue
        for index, scenario in enumerate(tests):
            try:
                data_set, facts = _given(document, scenario, read_sample)
                if coverage is not None:
                    coverage.see(facts, _matched(table, facts))
                results.append(_run(table, document, index, scenario, data_set, facts))
            except Mistake as mistake:
                at = ("tests", index, *mistake.at)
                problems.append(document.problem(at, str(mistake), mistake.suggestion))
    if problems:
        raise DocumentError(one_of_each(problems))
    return results


def _given(
    document: Document, scenario: Scenario, read: ReadSample
) -> tuple[EncodedDataSet, Facts]:
    """The object of a test, and what is known of it; Mistake."""
    given = {name: _values(value) for name, value in scenario.given.items() if value is not None}
    for where, names in _named(scenario):
        for name in names:
            _check_name(name, where, facts_too=where == ("given",))
    data_set = _object(document, scenario, given, read)
    return data_set, _facts(data_set, given)


def _matched(table: RouteTable, facts: Facts) -> tuple[str, ...]:
    try:
        return match(table, facts).routes
    except MalformedDataSet:
        return ()


def _run(
    table: RouteTable,
    document: Document,
    index: int,
    scenario: Scenario,
    data_set: EncodedDataSet,
    facts: Facts,
) -> Result:
    why: list[str] = []
    try:
        verdict = match(table, facts, dict.fromkeys(scenario.down, LONG_DOWN))
    except MalformedDataSet as error:
        differences = [f"the sample cannot be read: {error}"]
    else:
        differences = _differences(scenario.expect, verdict, data_set)
        for name in scenario.expect.send_to or ():
            if name not in verdict.destinations:
                why += why_not(table, facts, name)
    return Result(
        file=document.file,
        line=document.problem(("tests", index), "").line,
        name=scenario.name,
        differences=tuple(differences),
        why=tuple(dict.fromkeys(why[:MOST_TOLD])),
    )


def _values(value: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split("\\")) if value else ()
    return value


def _named(scenario: Scenario) -> Iterator[tuple[tuple[str, ...], Sequence[str]]]:
    """Every place of a test where names of attributes stand, and the names."""
    yield ("given",), list(scenario.given)
    arrivals: list[tuple[tuple[str, ...], Arrival]] = [(("expect",), scenario.expect)]
    arrivals += [(("expect", "at", name), one) for name, one in scenario.expect.at.items()]
    for where, arrival in arrivals:
        yield (*where, "edited"), list(arrival.edited)
        yield (*where, "removed"), arrival.removed


def _check_name(name: str, where: tuple[str, ...], *, facts_too: bool) -> None:
    try:
        parse_fact(name) if facts_too else parse_path(name)
    except Mistake as mistake:
        at = (*where, name)
        raise Mistake(str(mistake), at=at, suggestion=mistake.suggestion) from None


def _object(
    document: Document, scenario: Scenario, given: Mapping[str, tuple[str, ...]], read: ReadSample
) -> EncodedDataSet:
    attributes = {name: values for name, values in given.items() if name not in NAMED}
    if scenario.file is None:
        try:
            return made_of({**_identity(scenario, given), **attributes})
        except Mistake as mistake:
            raise Mistake(str(mistake), at=("given", *mistake.at)) from None
    if attributes:
        message = "the file has the attributes: `given` can only add facts such as source.address"
        raise Mistake(message, at=("given", next(iter(attributes))))
    try:
        return read(Path(document.file).parent / scenario.file)
    except OSError as error:
        raise Mistake(f"the file cannot be read: {error.strerror}", at=("file",)) from None
    except ValueError as error:
        raise Mistake(f"the file cannot be read: {error}", at=("file",)) from None


def _identity(
    scenario: Scenario, given: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """What every object has, unless the test says null: its UIDs; the class of `sop_class`."""
    named = given.get("sop_class") or (CLASS_OF_NO_GROUP,)
    sop_class = _uid(named[0], "SOP Class", "sop_class")
    uids = {name: (f"2.25.{number}",) for number, name in enumerate(IDENTITY, 1)}
    every = {"SOPClassUID": (sop_class,), **uids}
    return {name: values for name, values in every.items() if name not in scenario.given}


def _facts(data_set: EncodedDataSet, given: Mapping[str, tuple[str, ...]]) -> Facts:
    def one(name: str, default: str) -> str:
        return given[name][0] if given.get(name) else default

    source = {key: one(f"source.{key}", default) for key, default in SOURCE.items()}
    in_header = data_set.values(parse_path("SOPClassUID")) or ("",)
    return Facts(
        attributes=data_set,
        source=SourceFacts(
            **source,
            user=one("source.user", "") or None,
            tls_subject=one("source.tls_subject", "") or None,
        ),
        file=FileFacts(
            sop_class_uid=_uid(one("sop_class", in_header[0]), "SOP Class", "sop_class"),
            transfer_syntax_uid=_uid(
                one("transfer_syntax", data_set.transfer_syntax_uid),
                "Transfer Syntax",
                "transfer_syntax",
            ),
            size=_size(one("size", str(len(data_set.source)))),
        ),
        received=_received(one("received", "")),
        group=_group(given),
    )


def _received(text: str) -> datetime | None:
    """`2026-11-21 22:30 Europe/Berlin`; without a zone UTC."""
    if not text:
        return None
    moment, _, zone = text.strip().rpartition(" ")
    is_zone = bool(moment) and not zone[:1].isdigit()
    try:
        when = datetime.fromisoformat(moment if is_zone else text.strip())
        known = ZoneInfo(zone if is_zone else "UTC")
    except (ValueError, ZoneInfoNotFoundError):
        message = f"{text!r} is no moment, such as 2026-11-21 22:30 Europe/Berlin"
        raise Mistake(message, at=("given", "received")) from None
    return when if when.tzinfo is not None else when.replace(tzinfo=known)


def _group(given: Mapping[str, tuple[str, ...]]) -> GroupFacts | None:
    if not any(name in given for name in GROUP):
        return None
    return GroupFacts(
        study_objects=_count(given, "study.objects"),
        study_modalities=given.get("study.modalities"),
        series_objects=_count(given, "series.objects"),
    )


def _count(given: Mapping[str, tuple[str, ...]], name: str) -> int | None:
    texts = given.get(name)
    if not texts:
        return None
    if not texts[0].isdecimal():
        raise Mistake(f"{texts[0]!r} is no number of objects", at=("given", name))
    return int(texts[0])


def _uid(text: str, category: str, name: str) -> str:
    found = uid_named(text, category)
    if found is None and text:
        raise Mistake(f"{text!r} is neither a UID nor the name of one", at=("given", name))
    return found or ""


def _size(text: str) -> int:
    kind, _ = NAMED["size"]
    try:
        return int(kind.bound(text))
    except Mistake as mistake:
        raise Mistake(str(mistake), at=("given", "size")) from None


def _differences(expect: Expectation, verdict: Verdict, data_set: EncodedDataSet) -> list[str]:
    told: list[str] = []
    if expect.send_to is not None and sorted(expect.send_to) != sorted(verdict.destinations):
        told.append(f"send_to: expected {_list(expect.send_to)}, got {_list(verdict.destinations)}")
    if expect.routes is not None and expect.routes != verdict.routes:
        told.append(f"routes: expected {_list(expect.routes)}, got {_list(verdict.routes)}")
    if expect.unrouted not in (None, verdict.unrouted):
        words = ("a route to match", "no route to match")
        told.append(f"unrouted: expected {words[bool(expect.unrouted)]}")
    told += [
        f"priority of {one.route}: expected {expect.priority}, got {one.priority}"
        for one in verdict.dispatches
        if expect.priority not in (None, one.priority)
    ]
    told += [f"at {n}: nothing is sent there" for n in expect.at if n not in verdict.destinations]
    failures: list[str] = []
    for dispatch in verdict.dispatches:
        failures += [f"{dispatch.route}: {choice.why}" for choice in dispatch.failures]
        try:
            arrived = _edited(dispatch, data_set)
        except (EditFailed, MalformedDataSet) as error:
            failures.append(f"{dispatch.route}: {error}")
            continue
        for destination in dispatch.destinations:
            arrivals = [expect, *([expect.at[destination]] if destination in expect.at else [])]
            for arrival in arrivals:
                told += [f"at {destination}: {line}" for line in _arrival(arrival, arrived)]
                told += [
                    f"at {destination}: {line}" for line in _syntax(arrival, dispatch, data_set)
                ]
    return told + _held(expect.held, failures)


def _held(expected: bool | str, failures: Sequence[str]) -> list[str]:
    if expected is False:
        return [f"held, as an edit failed: {failure}" for failure in failures]
    if not failures:
        return ["held: expected an edit to fail, and none did"]
    if isinstance(expected, str) and not any(expected in failure for failure in failures):
        return [f"held: expected {expected!r}, got {failure!r}" for failure in failures]
    return []


def _edited(dispatch: Dispatch, data_set: EncodedDataSet) -> EncodedDataSet:
    if not dispatch.edits_key:
        return data_set
    edited = apply_edits(dispatch.edits, data_set, record=None, profile=dispatch.profile)
    whole = b"".join(
        bytes(data_set.view(piece.offset, piece.length)) if isinstance(piece, Slice) else piece
        for piece in edited.pieces
    )
    return EncodedDataSet.read(whole, edited.transfer_syntax_uid)


def _arrival(arrival: Arrival, arrived: EncodedDataSet) -> list[str]:
    told: list[str] = []
    for name, wanted in arrival.edited.items():
        path = parse_path(name)
        found = arrived.values(path)
        expected = None if wanted is None else _values(wanted)
        if found != expected and not _same(path.vr, expected, found):
            told.append(f"{name}: expected {_value(expected)}, got {_value(found)}")
    for name in arrival.removed:
        found = arrived.values(parse_path(name))
        if found is not None:
            told.append(f"{name}: expected to be removed, got {_value(found)}")
    return told


def _syntax(arrival: Arrival, dispatch: Dispatch, data_set: EncodedDataSet) -> list[str]:
    """The last edit of the syntax decides, else it is the object's own."""
    asked = [edit.transcoding.to for edit in dispatch.edits if isinstance(edit, TransferSyntax)]
    found = asked[-1] if asked else data_set.transfer_syntax_uid
    if arrival.transfer_syntax in (None, found):
        return []
    return [f"transfer_syntax: expected {arrival.transfer_syntax}, got {found}"]


def _same(vr: str | None, expected: tuple[str, ...] | None, found: tuple[str, ...] | None) -> bool:
    """Equal as the VR has it: 1.50 and 1.5 are one number, whoever wrote it."""
    kind = kind_of_vr(vr)
    if not kind.ordered or expected is None or found is None or len(expected) != len(found):
        return False
    pairs = zip(expected, found, strict=True)
    return all(kind.keys(one) and kind.keys(one) == kind.keys(other) for one, other in pairs)


def _value(values: tuple[str, ...] | None) -> str:
    if values is None:
        return "nothing"
    return repr("\\".join(values)) if values else "an empty value"


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(names)}]"

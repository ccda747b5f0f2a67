"""Compares what a destination should have with what it has: a study at a time, series by series."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from router.commitment.calling import peer_of
from router.commitment.comparing import differences, study_differences
from router.commitment.headers import header_of
from router.commitment.identifiers import (
    IMAGE_KEYS,
    KEYWORDS,
    SOP_CLASS_UID,
    STUDY_KEYS,
    STUDY_RELATED_INSTANCES,
    Values,
)
from router.commitment.querying import Queries, Series, moved
from router.config import Destination
from router.ledger import DeliveryState, Ledger, reconciling
from router.ledger.reconciling import Sent
from router.store import Store

MOST_MOVED = 500
"""Instances of one study that are looked for elsewhere."""
MOVED_AT_ONCE = 50
_SENT = (DeliveryState.DELIVERED, DeliveryState.COMMITTED)
_STUDY_TAGS = (*STUDY_KEYS, STUDY_RELATED_INSTANCES)
_HIERARCHY = ("StudyInstanceUID", "SeriesInstanceUID")


class Kind(StrEnum):
    """What is wrong with an object at its destination."""

    MISSING = "missing"
    CHANGED = "changed"
    UNKNOWN = "unknown"  # cannot be asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An object that a destination lacks or has otherwise, and why as far as we know. `changed`:
    keywords. `resendable`: sending it again is possible and of use."""

    sent: Sent
    kind: Kind
    why: str
    changed: tuple[str, ...] = ()
    resendable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCompared:
    """A study at a destination, by the UID it was sent with: how many objects were looked for, and
    how many instances the destination says it has. `announced`: how many the objects themselves say
    there are (0020,1208); `received`: how many of these came in."""

    study_instance_uid: str
    objects: int
    findings: tuple[Finding, ...]
    there: int | None = None
    announced: int | None = None
    received: int | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether fewer came in than there are said to be."""
        return (self.received or 0) < (self.announced or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """What a comparison needs. `ignored`: keywords that a destination may change; `until_ms`: what
    was delivered later is left alone; None: nothing is."""

    destination: Destination
    ledger: Ledger
    store: Store | None = None
    ignored: Collection[str] = ()
    until_ms: int | None = None


def studies(
    comparing: Comparing, *, since_ms: int = 0, study: str | None = None
) -> Iterator[StudyCompared]:
    """Compare all that was received since then (milliseconds of the epoch), or one study, over one
    association. A NetError if the destination does not tell; keeps a study's objects in memory."""
    with Queries(peer_of(comparing.destination, query=True)) as queries:
        start = reconciling.moment(since_ms)
        for _, uid in walk(comparing, start=start, end=reconciling.LAST, study=study):
            yield compare(comparing, queries, uid, start=start, end=reconciling.LAST)


def walk(
    comparing: Comparing,
    *,
    start: str,
    end: str,
    after: str | None = None,
    study: str | None = None,
) -> Iterator[tuple[str, str]]:
    """Studies of a range, each once, and before each the place to go on from while it is not done
    with; `after`: such a place. One study alone if it is named, as it came or as it was sent."""
    name, ledger = comparing.destination.name, comparing.ledger
    if study is not None:
        with ledger.read() as connection:
            called = reconciling.studies_called(connection, name, study)
        yield from ((start, uid) for uid in called)
        return
    after = after or start
    while after != reconciling.LAST:
        with ledger.read() as connection:
            places, following = reconciling.places(connection, name, after=after, end=end)
        for place in places:
            with ledger.read() as connection:
                first = reconciling.first_of(connection, name, place.study, start=start, end=end)
            if first is not None and first > after:
                yield place.before, place.study
        after = following


def compare(
    comparing: Comparing, queries: Queries, study_uid: str, *, start: str, end: str
) -> StudyCompared:
    """Look for a study's objects of a range; a NetError if the destination does not tell."""
    name, until = comparing.destination.name, comparing.until_ms
    with comparing.ledger.read() as connection:
        every = reconciling.sent_of(connection, name, study_uid, start=start, end=end)
    settled = (one for one in every if until is None or (one.finished_at or 0) <= until)
    sent = list({one.sop_instance_uid: one for one in settled}.values())
    row = queries.study(study_uid, _STUDY_TAGS) if study_uid and sent else None
    headers, findings = _images(comparing, queries, sent)
    said = [_count(one.get(STUDY_RELATED_INSTANCES)) for one in headers.values()]
    announced = max((one for one in said if one is not None), default=None)
    received = None
    if announced is not None:
        with comparing.ledger.read() as connection:
            received = reconciling.received_of(connection, sent[-1].came_as)
    return StudyCompared(
        study_instance_uid=study_uid,
        objects=len(sent),
        findings=_standing(comparing, _with_study(findings, sent, row or {}, comparing.ignored)),
        there=_count((row or {}).get(STUDY_RELATED_INSTANCES)),
        announced=announced,
        received=received,
    )


def _images(
    comparing: Comparing, queries: Queries, sent: list[Sent]
) -> tuple[Mapping[int, Values], list[Finding]]:
    """The headers that could be read, by delivery, and what is wrong at IMAGE level."""
    by_series: defaultdict[Series, list[Sent]] = defaultdict(list)
    for one in sent:
        by_series[one.study_instance_uid, one.series_instance_uid].append(one)
    # What is its own business is not asked for: some peers open every file to answer.
    wanted = [tag for tag in (SOP_CLASS_UID, *IMAGE_KEYS) if KEYWORDS[tag] not in comparing.ignored]
    headers: dict[int, Values] = {}
    findings: list[Finding] = []
    lacking: list[Sent] = []
    for series, objects in sorted(by_series.items()):
        if not all(series):
            findings += map(_unknown, objects)
            continue
        there = queries.images(series, wanted)
        for one in objects:
            shown = there.get(one.sop_instance_uid)
            if shown is None:
                lacking.append(one)
                continue
            headers[one.delivery_id] = header_of(comparing.store, one) if comparing.store else {}
            changed = differences(one, headers[one.delivery_id], shown, comparing.ignored)
            if changed:
                findings.append(_changed(one, changed))
    return headers, findings + _lacking(comparing, lacking)


def _lacking(comparing: Comparing, lacking: list[Sent]) -> list[Finding]:
    """What is not where it was sent to: elsewhere, or nowhere."""
    peer = peer_of(comparing.destination, query=True)
    uids = [one.sop_instance_uid for one in lacking if one.state in _SENT][:MOST_MOVED]
    found: dict[str, Series] = {}
    for start in range(0, len(uids), MOVED_AT_ONCE):
        found |= moved(peer, uids[start : start + MOVED_AT_ONCE])
    findings = []
    for one in lacking:
        place = found.get(one.sop_instance_uid)
        ours = (one.study_instance_uid, one.series_instance_uid)
        elsewhere = tuple(
            word
            for word, here, there in zip(_HIERARCHY, ours, place or ours, strict=True)
            if there not in ("", here)
        )
        if elsewhere and not set(elsewhere) & set(comparing.ignored):
            findings.append(_changed(one, elsewhere))
        elif not elsewhere:
            findings.append(_missing(one))
    return findings


def _with_study(
    findings: list[Finding], sent: list[Sent], row: Values, ignored: Collection[str]
) -> list[Finding]:
    """The findings, and what differs at STUDY level of objects that are there."""
    of = {one.sent.delivery_id: one for one in findings}
    there = {one.delivery_id: one for one in sent if _in_its_study(of.get(one.delivery_id))}
    for delivery_id, words in study_differences(there.values(), row, ignored).items():
        before = of[delivery_id].changed if delivery_id in of else ()
        of[delivery_id] = _changed(there[delivery_id], (*before, *words))
    return [of[one.delivery_id] for one in sent if one.delivery_id in of]


def _in_its_study(finding: Finding | None) -> bool:
    if finding is None:
        return True
    return finding.kind is Kind.CHANGED and not set(finding.changed) & set(_HIERARCHY)


def _standing(comparing: Comparing, findings: list[Finding]) -> tuple[Finding, ...]:
    """Without what was sent again since, perhaps in another study."""
    if not findings:
        return ()
    uids = {one.sent.sop_instance_uid for one in findings}
    with comparing.ledger.read() as connection:
        latest = reconciling.latest(connection, comparing.destination.name, sorted(uids))
    return tuple(
        one for one in findings if latest.get(one.sent.sop_instance_uid, "") <= one.sent.object_id
    )


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None


def _changed(sent: Sent, changed: tuple[str, ...]) -> Finding:
    return Finding(
        sent=sent, kind=Kind.CHANGED, why=f"changed there: {', '.join(changed)}", changed=changed
    )


def _unknown(sent: Sent) -> Finding:
    why = "it has no Study or Series Instance UID to be asked for by"
    return Finding(sent=sent, kind=Kind.UNKNOWN, why=why)


def _missing(sent: Sent) -> Finding:
    if sent.state in _SENT:
        why = f"{sent.state.value}, and not there"
    elif sent.reason:
        why = f"not sent: {sent.state.value} ({sent.reason})"
    else:
        why = f"not sent: {sent.state.value}"
    if sent.forgotten:
        why += "; not kept here any more"
    resendable = not sent.forgotten and not sent.on_its_way
    return Finding(sent=sent, kind=Kind.MISSING, why=why, resendable=resendable)

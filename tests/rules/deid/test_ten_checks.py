"""The ten kinds of the MIDI-B benchmark over a synthetic set: the score is printed, and 100 %."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from router.config import Codecs
from router.transcoding.parts import blocks_of
from router.transcoding.transcoder import Transcoder
from rules.edits import apply_edits
from rules.encoded import EncodedDataSet
from tests.rules.conftest import joined
from tests.rules.deid.ten_checks import BANNER, SIZE, WRITTEN_ON, Case, Check, Kind, cases
from tests.rules.deid.test_phantom import EXPLICIT, profile

OPTIONS = [
    "retain modified dates",
    "retain patient characteristics",
    "retain safe private",
    "clean descriptors",
    "clean structured content",
]
HEADER = profile(options=OPTIONS, dangers={"structured reports": "pass"})
PICTURE = profile(options=[*OPTIONS, "clean pixel data"], edits=[{"burn": [[0, 0, SIZE, BANNER]]}])


@pytest.fixture(scope="module")
def transcoder() -> Iterator[Transcoder]:
    made = Transcoder(Codecs())
    yield made
    made.close()


class Judge:
    """Knows what came of each identity so far."""

    def __init__(self) -> None:
        self._stands_for: dict[str, set[str]] = defaultdict(set)
        self._shifts: dict[str, set[int]] = defaultdict(set)
        self.score: Counter[tuple[Kind, bool]] = Counter()
        self.failures: list[str] = []

    def judge(self, case: Case, after: Dataset) -> None:
        for check in case.checks:
            good = self._holds(check, case.data_set, after)
            self.score[check.kind, good] += 1
            if not good:
                self.failures.append(f"{case.name}: {check.kind} {check.path}")

    def _holds(self, check: Check, before: Dataset, after: Dataset) -> bool:
        found = values(after, check.path) if check.path else [str(after)]
        came = values(before, check.path) if check.path else []
        match check.kind:
            case Kind.TAG_RETAINED | Kind.UID_CHANGED:
                same = found == came
                return bool(found) and same == (check.kind is Kind.TAG_RETAINED)
            case Kind.TEXT_NOTNULL:
                return bool(found) and all(found)
            case Kind.TEXT_RETAINED:
                return any(check.value in text for text in found)
            case Kind.TEXT_REMOVED:
                return not any(check.value in text for text in found)
            case Kind.DATE_SHIFTED:
                return self._one_shift(str(before.PatientID), came, found)
            case Kind.UID_CONSISTENT | Kind.PATID_CONSISTENT:
                return self._one_name(came, found)
            case _:
                return pixels_hold(check.kind, before, after)

    def _one_name(self, came: list[str], found: list[str]) -> bool:
        if len(came) != len(found):
            return False
        for old, new in zip(came, found, strict=True):
            self._stands_for[old].add(new)
        others = [news for old, news in self._stands_for.items() if old not in came]
        return all(
            len(self._stands_for[old]) == 1 and all(not (news & {new}) for news in others)
            for old, new in zip(came, found, strict=True)
        )

    def _one_shift(self, patient: str, came: list[str], found: list[str]) -> bool:
        if len(came) != len(found):
            return False
        for old, new in zip(came, found, strict=True):
            days = (pydicom.valuerep.DA(new[:8]) - pydicom.valuerep.DA(old[:8])).days  # type: ignore[operator]
            self._shifts[patient].add(days)
            if new[8:] != old[8:]:
                return False
        return len(self._shifts[patient]) == 1 and 0 not in self._shifts[patient]


def values(data_set: Dataset, path: str) -> list[str]:
    """Of all items, as texts; one for an attribute of several values."""
    first, _, rest = path.partition(".")
    if first not in data_set:
        return []
    if rest:
        return [value for item in data_set[first].value for value in values(item, rest)]
    value = data_set[first].value
    several = value if isinstance(value, list | MultiValue) else [value]
    return ["\\".join("" if one is None else str(one) for one in several)]


def pixels_hold(kind: Kind, before: Dataset, after: Dataset) -> bool:
    one, other = (
        np.frombuffer(each.PixelData, np.uint16).reshape(SIZE, SIZE) for each in (before, after)
    )
    hidden = BANNER if before.Modality in WRITTEN_ON else 0
    if kind is Kind.PIXELS_HIDDEN:
        return not other[:hidden].any()
    return bool((one[hidden:] == other[hidden:]).all())


def deidentified(case: Case, transcoder: Transcoder) -> Dataset:
    source = EncodedDataSet.read(case.encoded(), EXPLICIT)
    chosen = PICTURE if case.data_set.Modality in WRITTEN_ON else HEADER
    done = apply_edits((), source, record=None, profile=chosen)
    if not done.pixel_edits:
        data = joined(done.pieces, source)
    else:
        with transcoder.edited(source, done) as made:
            data = b"".join(blocks_of(made.source, made.parts))
    return pydicom.filereader.read_dataset(io.BytesIO(data), False, True)


def test_every_action_of_the_ten_kinds_is_right(
    transcoder: Transcoder, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = Judge()
    for case in cases():
        judge.judge(case, deidentified(case, transcoder))
    done = {kind: judge.score[kind, True] for kind in Kind}
    total = {kind: done[kind] + judge.score[kind, False] for kind in Kind}
    with capsys.disabled():
        print()
        for kind in Kind:
            print(f"  {kind:17} {done[kind]:5} of {total[kind]:5}")
        every, right = sum(total.values()), sum(done.values())
        print(f"  {'score':17} {right:5} of {every:5}  {100 * right / every:.2f} %")
    assert judge.failures == []
    assert all(total.values())


def test_the_judge_finds_what_was_not_done() -> None:
    judge = Judge()
    for case in cases():
        judge.judge(case, case.data_set)
    for kind in Kind:
        right_as_it_is = {
            Kind.TAG_RETAINED, Kind.TEXT_NOTNULL, Kind.TEXT_RETAINED, Kind.UID_CONSISTENT,
            Kind.PATID_CONSISTENT, Kind.PIXELS_RETAINED,
        }  # fmt: skip
        assert judge.score[kind, kind not in right_as_it_is] == 0

"""The edits of pixels as they are typed; carrying them out is not the rules' affair."""

import pytest

from rules.documents.reading import DocumentError, Section, parse_document
from rules.editing.schema import Edit, edits_key
from rules.editing.schema_pixels import TARGETS, Burn, TransferSyntax


class Edits(Section):
    edits: tuple[Edit, ...]


def read(text: str) -> tuple[Edit, ...]:
    return parse_document(f"edits:\n  - {text}\n").validate(Edits).edits


@pytest.mark.parametrize("uid", TARGETS)
def test_every_syntax_by_uid_and_keyword(uid: str) -> None:
    target = TARGETS[uid]
    amounts = {"quality": "{quality: 90}", "ratio": "{ratio: 10}", "error": "{error: 2}"}
    if target.loss != "always":
        for name in (uid, target.keyword):
            [edit] = read(f"transfer_syntax: {name}")
            assert isinstance(edit, TransferSyntax)
            assert (edit.transcoding.to, edit.transcoding.lossy) == (uid, None)
    if target.amount:
        text = f"{{to: {target.keyword}, lossy: {amounts[target.amount]}}}"
        [edit] = read(f"transfer_syntax: {text}")
        assert isinstance(edit, TransferSyntax)
        assert edit.transcoding.lossy is not None
        assert getattr(edit.transcoding.lossy, target.amount)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("transfer_syntax: ExplicitVRBigEndian", "cannot be written"),
        ("transfer_syntax: JPEG2000Losless", "did you mean JPEG2000Lossless"),
        ("transfer_syntax: JPEGBaseline8Bit", "did you mean lossy: {quality: 90}"),
        ("transfer_syntax: {to: RLELossless, lossy: {ratio: 5}}", "loses nothing"),
        ("transfer_syntax: {to: JPEG2000, lossy: {quality: 5}}", "did you mean lossy: {ratio: 10}"),
        ("transfer_syntax: {to: JPEG2000, lossy: {}}", "expected one of quality, ratio, error"),
        ("transfer_syntax: {to: JPEG2000, lossy: {ratio: 1}}", "more than 1"),
        ("transfer_syntax: {lossy: {ratio: 10}}", "to: this key is missing"),
        ("burn: [0, 0, 512, 40]", "did you mean [[0, 0, 512, 40]]"),
        ("burn: [[0, 0, 512]]", "[x, y, width, height]"),
        ("burn: [[0, 0, 0, 40]]", "more than 0"),
        ("burn: [[-1, 0, 5, 40]]", "at least 0"),
        ("burn: []", "at least one"),
        ("burn: {rectangles: [[0, 0, 5, 5]], frames: [7-3]}", "names no frames"),
        ("burn: {rectangles: [[0, 0, 5, 5]], frames: [0]}", "names no frames"),
    ],
)
def test_what_cannot_be_meant(text: str, says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(text)
    [problem] = caught.value.problems
    assert says in str(problem)
    assert problem.line == 2


def test_rectangles_and_frames() -> None:
    [edit] = read("burn: {rectangles: [[0, 0, 512, 40], [7, 8, 9, 10]], frames: [1, 3-7]}")
    assert isinstance(edit, Burn)
    assert edit.burning.rectangles == ((0, 0, 512, 40), (7, 8, 9, 10))
    assert edit.burning.frames == ((1, 1), (3, 7))
    assert edits_key([edit], record=True) != edits_key(read("burn: [[0, 0, 512, 40]]"), record=True)

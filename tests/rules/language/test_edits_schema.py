"""Edits as they are typed become models; what could not work is refused at once."""

from pathlib import Path

import pytest

from rules.documents.reading import DocumentError, Section, parse_document
from rules.editing.schema import Edit, Replace, Set, edits_key
from rules.editing.templates import parse_template
from rules.loading import rules_of_texts
from rules.resources import StandIns
from rules.tags import parse_path


class Edits(Section):
    edits: tuple[Edit, ...]


def read(text: str) -> tuple[Edit, ...]:
    return parse_document(f"edits:\n  - {text}\n").validate(Edits).edits


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("set: {StudyID: 0123}", {"set": {"StudyID": "0123"}}),
        ("set: {'0020,0010': '{AccessionNumber}'}", {"set": {"StudyID": "{AccessionNumber}"}}),
        ("set: {ImageType: [A, B]}", {"set": {"ImageType": "A\\B"}}),
        ("set: {StudyID: ''}", {"set": {"StudyID": ""}}),
        ("set: {Rows: '256'}", {"set": {"Rows": "256"}}),
        ("set: {Columns: 512}", {"set": {"Columns": "512"}}),
        ("remove: PatientComments", {"remove": ["PatientComments"]}),
        ("remove: [private, '(0019,10xx)']", {"remove": ["private", "(0019,10xx)"]}),
        ("upper: PatientID", {"upper": ["PatientID"]}),
        (
            "move: {from: PatientID, to: OtherPatientIDs}",
            {"move": {"from": "PatientID", "to": "OtherPatientIDs"}},
        ),
        (
            "prefix: {RequestAttributesSequence.StudyInstanceUID: 1.}",
            {"prefix": {"RequestAttributesSequence.StudyInstanceUID": "1."}},
        ),
    ],
)
def test_an_edit_as_it_is_typed(text: str, written: object) -> None:
    [edit] = read(text)
    assert edit.model_dump(mode="json", by_alias=True) == written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("set: {Rows: many}", "no US value, which Rows needs: a whole number from 0 to 65535"),
        ("set: {SliceThickness: '1,5'}", "no DS value"),
        ("set: {Modality: computed tomography}", "no CS value"),
        ("set: {PatientName: }", "a text is missing"),
        ("set: {}", "at least 1"),
        ("copy: {from: PixelData, to: StudyID}", "holds no text"),
        ("copy: {from: StudyID, to: StudyID}", "the same attribute"),
        ("move: {from: StudyInstanceUID, to: StudyID}", "cannot be removed"),
        ("remove: SpecificCharacterSet", "could not be read"),
        ("remove: '7FE0,0010'", "pixel data"),
        ("set: {'0008,0000': 5}", "group length"),
        ("replace: {tag: StudyID, pattern: '', with: x}", "at least 1"),
        ("replace: {tag: StudyID, pattern: a, with: 'b\\'}", "lone backslash"),
        ("upper: {PatientID: x}", "expected a list"),
        ("rename: {PatientID: x}", "there is no edit of this name"),
        ("set", "expected an edit such as"),
    ],
)
def test_an_edit_that_could_not_work(text: str, says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(text)
    assert says in str(caught.value)
    assert [problem.line for problem in caught.value.problems] == [2]


NUMBERS = {
    "Rows": ("0", "65535", ["-1", "65536", "1.5", "1_000", "0x10", "٣", "1\\-1"]),
    "TagAngleSecondAxis": ("-32768", "32767", ["-32769", "32768"]),
    "SmallestImagePixelValue": ("-32768", "65535", ["-32769", "65536"]),  # US or SS
    "SimpleFrameList": ("1\\2", "4294967295", ["-1", "4294967296"]),
    "ReferencePixelX0": ("-2147483648", "2147483647", ["2147483648"]),
    "FileOffsetInContainer": ("0", "18446744073709551615", ["-1", "18446744073709551616"]),
    "SelectorSVValue": ("-9223372036854775808", "9223372036854775807", ["9223372036854775808"]),
    "RecommendedDisplayFrameRateInFloat": ("0.1", "-3.4e38", ["3.5e38", "1,5", "nan", "inf"]),
    "DopplerCorrectionAngle": ("-1.5e300", "7", ["1e309", "much"]),
}


@pytest.mark.parametrize("keyword", NUMBERS)
def test_numbers_in_the_range_of_their_vr_are_taken(keyword: str) -> None:
    for number in ("", *NUMBERS[keyword][:2]):
        read(f"set: {{{keyword}: '{number}'}}")
        read(f"set_if_missing: {{{keyword}: '{number}'}}")


@pytest.mark.parametrize("keyword", NUMBERS)
def test_numbers_out_of_the_range_of_their_vr_are_refused(keyword: str) -> None:
    for number in NUMBERS[keyword][2]:
        with pytest.raises(DocumentError, match=f"value, which {keyword} needs: a (whole )?number"):
            read(f"set: {{{keyword}: '{number}'}}")


@pytest.mark.parametrize(
    ("pattern", "text", "value", "expected"),
    [
        ("^CT ", "", "CT Thorax", "Thorax"),
        ("a", "Ü", "abba", "ÜbbÜ"),
        ("(\\w+)\\^(\\w+)", "\\2^\\1", "Doe^Jane", "Jane^Doe"),
        ("x", "[\\0]", "axb", "a[x]b"),
        ("/", "\\\\", "a/b", "a\\b"),
        ("(a)|(b)", "<\\2>", "ab", "<><b>"),
        ("x*", "-", "ab", "-a-b-"),
    ],
)
def test_a_replacement(pattern: str, text: str, value: str, expected: str) -> None:
    [edit] = read(f"replace: {{tag: StudyID, pattern: '{pattern}', with: '{text}'}}")
    assert isinstance(edit, Replace)
    assert edit.replacement.apply(value) == expected


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("plain", "plain"),
        ("{PatientID}", "<PatientID>"),
        ("a{PatientID}b{StudyID}", "a<PatientID>b<StudyID>"),
        ("{{PatientID}}", "{PatientID}"),
        ("{{{PatientID}}}", "{<PatientID>}"),
        ("", ""),
        ("{0029,[ACME.1],10}", "<0029,[ACME.1],10>"),
    ],
)
def test_a_template(text: str, rendered: str) -> None:
    assert parse_template(text).render(lambda path: f"<{path}>") == rendered


def test_a_constant_is_known_as_one() -> None:
    [edit] = read("set: {StudyID: '{{x}}', AccessionNumber: '{PatientID}'}")
    assert isinstance(edit, Set)
    constants = {str(path): template.is_constant for path, template in edit.values.items()}
    assert constants == {"StudyID": True, "AccessionNumber": False}
    assert edit.values[parse_path("AccessionNumber")].fields == (parse_path("PatientID"),)


def test_the_key_of_edits_is_the_same_in_every_process() -> None:
    assert edits_key((), record=True) == ""
    # A changed key derives objects anew for deliveries under way: only on purpose.
    assert edits_key(read("prefix: {PatientID: EH-}"), record=True) == "afbfe1adb1aa174d"


def test_the_key_of_edits_depends_on_tables_and_secrets(tmp_path: Path) -> None:
    edits = "[{lookup: {tag: PatientID, table: t.csv}}, {hash: {tag: StudyID, key: a}}]"
    text = f"routes: [{{name: it, send_to: there, edits: {edits}}}]"

    def key(table: str, secret: str | None) -> str:
        (tmp_path / "t.csv").write_text(table)
        keys = None if secret is None else {"a": secret}
        loaded = rules_of_texts({"10.yaml": text}, keys=keys, folder=tmp_path)
        return loaded.routes[0].dispatch.edits_key

    every = [key("a,b\n1,2\n", "x"), key("a,b\n1,3\n", "x"), key("a,b\n1,2\n", "y")]
    every.append(key("a,b\n1,2\n", None))
    assert len(set(every)) == 4
    assert key("a,b\n1,2\n", "x") == every[0]


def test_stand_ins_are_for_any_name_and_say_so() -> None:
    text = "routes: [{name: it, send_to: there, edits: [{new_uid: {key: any}}]}]"
    assert rules_of_texts({"10.yaml": text}, keys=StandIns()).routes
    assert StandIns()["any"].startswith("not secret")
    assert list(StandIns()) == []

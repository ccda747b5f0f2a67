"""`lookup` and `map` as they are typed: what stands for a value, and what where nothing does."""

from __future__ import annotations

import pytest

from rules.documents.reading import DocumentError
from rules.edits import EditFailed

TABLE = "old,new,ward\n1CT1,EH-77,A\n2CT2,EH-78,B\n"
WITH = {"mrn.csv": TABLE}


MODALITY = "tag: Modality, table: mrn.csv, value: ward"
IMAGE_TYPE = "- set: {ImageType: [A, X, B]}\n- map: {tag: ImageType, values: {A: B, B: C}"


@pytest.mark.parametrize(
    ("edits", "wanted"),
    [
        ("- lookup: {tag: PatientID, table: mrn.csv}", {"PatientID": "EH-77"}),
        (
            "- lookup: {tag: PatientID, table: mrn.csv, key: old, value: ward}",
            {"PatientID": "A"},
        ),
        (
            "- lookup: {tag: StationName, from: PatientID, table: mrn.csv, value: ward}",
            {"StationName": "A", "PatientID": "1CT1"},
        ),
        (
            "- set: {PatientID: '2CT2'}\n- lookup: {tag: PatientID, table: mrn.csv}",
            {"PatientID": "EH-78"},
        ),
        (
            "- set: {PatientID: ' 2CT2 '}\n- lookup: {tag: PatientID, table: mrn.csv}",
            {"PatientID": "EH-78"},
        ),
        (
            f"- lookup: {{{MODALITY}, missing: keep}}",
            {"Modality": "CT"},
        ),
        (
            f"- lookup: {{{MODALITY}, missing: remove}}",
            {"Modality": None},
        ),
        (
            f"- lookup: {{{MODALITY}, missing: {{value: OT}}}}",
            {"Modality": "OT"},
        ),
        (
            "- lookup: {tag: StationName, table: mrn.csv, missing: {value: 'x{Modality}'}}",
            {"StationName": "xCT"},
        ),
        (
            "- lookup: {tag: PatientComments, table: mrn.csv, missing: keep}",
            {"PatientComments": None},
        ),
        (
            "- lookup: {tag: PatientComments, table: mrn.csv, missing: {value: none}}",
            {"PatientComments": "none"},
        ),
        (
            IMAGE_TYPE + ", missing: keep}",
            {"ImageType": ["B", "X", "C"]},
        ),
        (
            IMAGE_TYPE + ", missing: {value: Z}}",
            {"ImageType": ["B", "Z", "C"]},
        ),
        ("- map: {tag: Modality, values: {CT: MR}}", {"Modality": "MR"}),
        ("- map: {tag: Modality, values: {CT: ''}}", {"Modality": ""}),
        (
            "- map: {tag: StationName, from: Modality, values: {CT: Röhre}}",
            {"StationName": "Röhre"},
        ),
    ],
)
def test_what_stands_for_a_value(edit, ct, edits, wanted):
    after = edit(ct, edits, files=WITH)
    for keyword, value in wanted.items():
        found = after.get(keyword)
        assert (list(found) if isinstance(value, list) else found) == value


@pytest.mark.parametrize(
    "edits",
    [
        "- lookup: {tag: Modality, table: mrn.csv, value: ward}",
        f"- lookup: {{{MODALITY}, missing: hold}}",
        "- lookup: {tag: PatientComments, table: mrn.csv}",
        "- lookup: {tag: StationName, from: PatientComments, table: mrn.csv}",
        "- map: {tag: Modality, values: {MR: CT}}",
    ],
)
def test_the_object_is_held_where_nothing_does(edit, ct, edits):
    with pytest.raises(EditFailed, match=r"(mrn\.csv|the map) has nothing for its value"):
        edit(ct, edits, files=WITH)


def test_items_of_sequences_are_looked_up_one_by_one(edit, samples):
    after = edit(
        samples["rtplan.dcm"],
        "- set: {BeamSequence.BeamName: a}\n- map: {tag: BeamSequence.BeamName, values: {a: b}}",
    )
    assert {beam.BeamName for beam in after.BeamSequence} == {"b"}


@pytest.mark.parametrize(
    ("name", "text", "edits", "says"),
    [
        ("mrn.csv", TABLE, "lookup: {tag: PatientID, table: mnr.csv}", "mean mrn.csv"),
        ("mrn.csv", TABLE, "lookup: {tag: PatientID, table: mrn.csv, key: odl}", "mean old"),
        ("mrn.csv", "", "lookup: {tag: PatientID, table: mrn.csv}", "mrn.csv:1:1: the first line"),
        ("mrn.csv", "old\n1\n", "lookup: {tag: PatientID, table: mrn.csv}", "mrn.csv:1:1: the"),
        (
            "mrn.csv",
            "a,b\n1,2\n1,3\n",
            "lookup: {tag: PatientID, table: mrn.csv}",
            "mrn.csv:3:1: a: this key stands in line 2",
        ),
        (
            "mrn.csv",
            "a,b\n1\n",
            "lookup: {tag: PatientID, table: mrn.csv}",
            "mrn.csv:2:1: 1 values, but the first line names 2 columns",
        ),
        (
            "mrn.csv",
            "a,b\n,3\n",
            "lookup: {tag: PatientID, table: mrn.csv}",
            "mrn.csv:2:1: a: a row without a key",
        ),
        (
            "mrn.csv",
            "a,a\n1,3\n",
            "lookup: {tag: PatientID, table: mrn.csv}",
            "mrn.csv:1:2: a: the column a is there twice",
        ),
        (
            "mrn.csv",
            "a,b\n1,toolong-toolong-toolong\n",
            "lookup: {tag: StudyID, table: mrn.csv}",
            "mrn.csv:2:2: b: 'toolong",
        ),
        ("mrn.csv", 'a,b\n1,"x\n', "lookup: {tag: PatientID, table: mrn.csv}", "is not CSV"),
        (
            "mrn.csv",
            TABLE,
            "lookup: {tag: SOPInstanceUID, table: mrn.csv, missing: remove}",
            "cannot be removed",
        ),
        (
            "mrn.csv",
            TABLE,
            "lookup: {tag: StudyID, table: mrn.csv, missing: skip}",
            "mean {value: skip}",
        ),
        ("mrn.csv", TABLE, "map: {tag: Modality, values: {}}", "expected texts"),
        ("mrn.csv", TABLE, "map: {tag: Modality, values: {CT: }}", "a text is missing"),
        ("mrn.csv", TABLE, "map: {tag: Modality, values: {CT: computed}}", "no CS value"),
    ],
)
def test_mistakes_in_tables_and_their_use(edit, ct, name, text, edits, says):
    with pytest.raises(DocumentError) as caught:
        edit(ct, f"- {edits}", files={name: text})
    [problem] = caught.value.problems
    assert says in str(problem)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_and_quotes(edit, ct, separator):
    text = separator.join(("old", "new")) + "\r\n" + separator.join(('"1CT1"', f'"A{separator}"'))
    after = edit(ct, "- lookup: {tag: PatientComments, from: PatientID, table: t.csv}",
                 files={"t.csv": "\ufeff" + text})  # fmt: skip
    assert after.PatientComments == f"A{separator}".strip()

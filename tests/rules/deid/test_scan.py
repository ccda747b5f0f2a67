"""The proof finds what is left, wherever it is, and nothing where nothing is left."""

from __future__ import annotations

import io
from collections.abc import Callable

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage

from rules.deid.identifying import Kind
from rules.deid.scan import findings, scan
from rules.deid.table import Option
from rules.encoded.data_set import EncodedDataSet
from tests.rules.deid.phantom import NAMES, SYNTAXES, phantom
from tests.rules.deid.test_phantom import EXPLICIT, deidentified, profile

PATIENT = "Vandermeer^Friederike"


def original(**more: object) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, "1.3.46.670589.11.77.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.3.46.670589.11.77", "1.3.46.670589.11.78"
    made.PatientName, made.PatientID, made.PatientSex = PATIENT, "PX-88123", "M"
    made.Modality, made.StudyDate, made.AccessionNumber = "CT", "20240517", "4711008"
    made.InstitutionName, made.PatientComments = "Klinik am Waldsee", "sister of M. in ward seven"
    made.StudyDescription, made.BodyPartExamined = "CHEST", "CHEST"
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def encoded(made: Dataset) -> EncodedDataSet:
    target = io.BytesIO()
    file = pydicom.filebase.DicomFileLike(target)
    file.is_implicit_VR, file.is_little_endian = False, True
    pydicom.filewriter.write_dataset(file, made)
    return EncodedDataSet.read(target.getvalue(), EXPLICIT)


def clean() -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, "2.25.11"
    made.Modality, made.PatientSex, made.BodyPartExamined = "CT", "", "CHEST"
    made.PatientName, made.StudyDate = "Anonymized", ""
    return made


def left(made: Dataset, was: Dataset | None = None) -> set[tuple[Kind, str, str]]:
    found = findings(encoded(was or original()), encoded(made))
    return {(one.kind, one.origin, one.place) for one in found}


def test_what_is_clean_has_no_findings() -> None:
    assert left(clean()) == set()


@pytest.mark.parametrize(
    ("syntax", "charset"),
    [*((one, "") for one in SYNTAXES), *((EXPLICIT, one) for one in list(NAMES)[::4])],
)
def test_the_phantom_is_clean_when_deidentified_and_only_then(syntax: str, charset: str) -> None:
    made = phantom(syntax, charset)
    before = EncodedDataSet.read(made.content, syntax)
    after = EncodedDataSet.read(deidentified(made.content, syntax, profile()), syntax)
    assert findings(before, after) == []
    told = scan(before, before)
    assert {one.origin for one in told.findings} >= {"PatientID", "StudyDate", "StudyInstanceUID"}
    assert len({one.origin for one in told.findings}) > 1500


def private(value: bytes, vr: str = "UN") -> Callable[[Dataset], None]:
    def plant(made: Dataset) -> None:
        made.add_new(0x00290010, "LO", "MAKER")
        made.add_new(0x00291001, vr, value)

    return plant


def nested(made: Dataset) -> None:
    item = Dataset()
    item.TextValue = "report on PX-88123, dictated"
    made.ContentSequence = [item]


def hidden_items(made: Dataset) -> None:
    body = encoded(original()).source
    item = b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + bytes(body)
    private(item)(made)


@pytest.mark.parametrize(
    ("plant", "kind", "place"),
    [
        (private(b"(c) 2024 \0\1Vandermeer\0\0"), Kind.NAME, "0029,1001"),
        (private("xxVANDERMEERxx".encode("utf-16-le"), "OB"), Kind.NAME, "0029,1001"),
        (private(b"seen 17.05.2024 "), Kind.DATE, "0029,1001"),
        (private(b"17-May-2024 "), Kind.DATE, "0029,1001"),
        (private(b"uid=1.3.46.670589.11.78;"), Kind.UID, "0029,1001"),
        (nested, Kind.ID, "ContentSequence[1].TextValue"),
        (hidden_items, Kind.NAME, "0029,1001[1].PatientName"),
        (lambda made: setattr(made, "SeriesDescription", "acc 4711008"), Kind.ID,
         "SeriesDescription"),
        (lambda made: setattr(made, "ProtocolName", "friederike"), Kind.NAME, "ProtocolName"),
        (lambda made: setattr(made, "InstitutionName", "KLINIK AM WALDSEE"), Kind.TEXT,
         "InstitutionName"),
        (lambda made: setattr(made, "AcquisitionDateTime", "20240517120000"), Kind.DATE,
         "AcquisitionDateTime"),
        (lambda made: setattr(made, "DataSetTrailingPadding", b"\0\0Vandermeer, Friederike"),
         Kind.NAME, "DataSetTrailingPadding"),
    ],
)  # fmt: skip
def test_a_value_is_found_wherever_it_is(
    plant: Callable[[Dataset], None], kind: Kind, place: str
) -> None:
    made = clean()
    plant(made)
    assert (kind, place) in {(kind, place) for kind, _, place in left(made)}


def test_a_name_is_found_in_other_character_sets() -> None:
    was = original(SpecificCharacterSet="ISO_IR 100", PatientName="Gr\u00fcnwald^Zo\u00eb")
    for charset in ("ISO_IR 192", "ISO_IR 109", "GB18030"):
        made = clean()
        made.SpecificCharacterSet = charset
        made.ImageComments = "GR\u00dcNWALD"
        assert {kind for kind, _, _ in left(made, was)} == {Kind.NAME}, charset


def test_a_comment_in_a_compressed_frame_is_found() -> None:
    made = clean()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.50")
    made.PixelData = encapsulate([b"\xff\xd8\xff\xfe\x00\x20Vandermeer 17.05.2024\xff\xd9"])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    assert {(kind, place) for kind, _, place in left(made)} == {
        (Kind.NAME, "PixelData"), (Kind.DATE, "PixelData"),
    }  # fmt: skip


def test_preamble_and_file_meta_are_looked_at() -> None:
    was = encoded(original())
    head = b"Vandermeer".ljust(128, b"\0") + b"DICM...PX-88123..."
    found = findings(was, encoded(clean()), head=head)
    assert {(one.kind, one.place) for one in found} == {
        (Kind.NAME, "preamble"), (Kind.ID, "file meta information"),
    }  # fmt: skip


def test_a_finding_does_not_print_the_value() -> None:
    made = clean()
    made.SeriesDescription = "Vandermeer"
    (found,) = findings(encoded(original()), encoded(made))
    assert found.value == "Vandermeer"
    assert "andermeer" not in repr(found) + str(found)


@pytest.mark.parametrize("value", ["M", "CT", "CHEST", "Medical Systems", "1 .2", "17.05"])
def test_what_is_short_or_common_is_no_finding(value: str) -> None:
    was = original(PatientComments=value, StudyDescription=value, PatientName=value)
    made = clean()
    made.Manufacturer, made.SeriesDescription = value, value
    assert left(made, was) == set()


def test_what_options_retain_is_no_finding() -> None:
    was = original(StationName="CT-SCANNER-3")
    private(b"CT-SCANNER-3")(was)
    made = clean()
    made.StationName, made.StudyInstanceUID = "CT-SCANNER-3", was.StudyInstanceUID
    assert {kind for kind, _, _ in left(made, was)} == {Kind.TEXT, Kind.UID}
    options = (Option.RETAIN_DEVICE_IDENTITY, Option.RETAIN_UIDS)
    assert findings(encoded(was), encoded(made), options=options) == []


def test_dates_that_moved_onto_each_other_are_no_finding() -> None:
    was = original(SeriesDate="20240518")
    made = clean()
    made.SeriesDate = "20240517"
    options = (Option.RETAIN_MODIFIED_DATES,)
    assert findings(encoded(was), encoded(made), options=options) == []
    made.StudyDate = "20240517"
    (found,) = findings(encoded(was), encoded(made), options=options)
    assert (found.origin, found.place) == ("StudyDate", "StudyDate")

"""Every word of the conditions, as a user types it, against what objects hold."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from textwrap import indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.conditions import Compiler, all_hold, first_failure
from rules.documents.reading import Mistake, parse_document
from rules.facts import Facts
from rules.loading import load_rules, rules_of_texts
from rules.matching.schema import Condition, When
from rules.matching.view import Slots, View
from rules.routes import RouteTable, explain, match
from rules.tables import Tables

Given = Mapping[str, str | tuple[str, ...]]

CASES: list[tuple[str, Given, bool]] = [
    # value of texts
    ("Modality: CT", {"Modality": "CT"}, True),
    ("Modality: CT", {"Modality": "MR"}, False),
    ("Modality: CT", {"Modality": "ct"}, False),
    ("Modality: CT", {"Modality": "CT "}, True),
    ("Modality: CT", {}, False),
    ("Modality: CT", {"Modality": ""}, False),
    ("Modality: {value: CT}", {"Modality": "CT"}, True),
    ('"0008,0060": CT', {"Modality": "CT"}, True),
    ('"(0008,0060)": CT', {"Modality": "CT"}, True),
    ("PatientID: 0123", {"PatientID": "0123"}, True),
    ("PatientID: 0123", {"PatientID": "123"}, False),
    ("PatientID: 1.50", {"PatientID": "1.50"}, True),
    ("PatientID: 1.50", {"PatientID": "1.5"}, False),
    ("PatientID: No", {"PatientID": "No"}, True),
    ("PatientID: on", {"PatientID": "on"}, True),
    ("PatientID: 12:30:00", {"PatientID": "12:30:00"}, True),
    ("PatientID: 2026-01-31", {"PatientID": "2026-01-31"}, True),
    ("PatientID: 'null'", {"PatientID": "null"}, True),
    # value of several texts
    ("ImageType: AXIAL", {"ImageType": ("ORIGINAL", "PRIMARY", "AXIAL")}, True),
    ("ImageType: LOCALIZER", {"ImageType": ("ORIGINAL", "PRIMARY", "AXIAL")}, False),
    (r"ImageType: ORIGINAL\PRIMARY", {"ImageType": ("ORIGINAL", "PRIMARY")}, True),
    (r"ImageType: ORIGINAL\PRIMARY", {"ImageType": ("PRIMARY", "ORIGINAL")}, False),
    (r"ImageType: ORIGINAL\PRIMARY", {"ImageType": ("ORIGINAL", "PRIMARY", "AXIAL")}, False),
    (r"PixelSpacing: 0.50\0.5", {"PixelSpacing": ("0.5", "0.500")}, True),
    (r"PatientComments: a\b", {"PatientComments": r"a\b"}, True),
    # value of numbers
    ("SliceThickness: 1.5", {"SliceThickness": "1.50"}, True),
    ("SliceThickness: 1.50", {"SliceThickness": "1.5E0"}, True),
    ("SeriesNumber: 7", {"SeriesNumber": "007"}, True),
    ("SeriesNumber: 7", {"SeriesNumber": " +7 "}, True),
    ("SeriesNumber: 7", {"SeriesNumber": "x"}, False),
    ("Rows: 512", {"Rows": "512"}, True),
    (
        "RecommendedDisplayFrameRateInFloat: 1.1",
        {"RecommendedDisplayFrameRateInFloat": "1.10000002"},
        True,
    ),
    # value of names
    ("PatientName: doe^jane", {"PatientName": "DOE^JANE^^^"}, True),
    ("PatientName: Doe^Jane", {"PatientName": "Doe ^ Jane"}, True),
    ("PatientName: Doe", {"PatientName": "Doe^Jane"}, False),
    ("PatientName: 山田^太郎", {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}, True),
    ("PatientName: Yamada^Tarou=山田^太郎", {"PatientName": "YAMADA^TAROU=山田^太郎"}, True),
    ("PatientName: Yamada^Tarou=山田^太郎", {"PatientName": "YAMADA^TAROU=山田^次郎"}, False),
    # value of dates, times, ages, UIDs
    ("StudyDate: 2026-01-31", {"StudyDate": "20260131"}, True),
    ("StudyDate: 20260131", {"StudyDate": "2026.01.31"}, True),
    ("StudyDate: 20260131", {"StudyDate": "20260132"}, False),
    ('StudyTime: "07:30"', {"StudyTime": "073000.000"}, True),
    ("StudyTime: 0730", {"StudyTime": "0731"}, False),
    (
        "AcquisitionDateTime: 20260131120000+0100",
        {"AcquisitionDateTime": "20260131110000+0000"},
        True,
    ),
    ("PatientAge: 12M", {"PatientAge": "012M"}, True),
    ("StudyInstanceUID: 1.2.3", {"StudyInstanceUID": "1.2.3\0"}, True),
    ("StudyInstanceUID: 1.2.3", {"StudyInstanceUID": "1.2.30"}, False),
    # one_of
    ("Modality: {one_of: [CT, MR]}", {"Modality": "MR"}, True),
    ("Modality: {one_of: [CT, MR]}", {"Modality": "US"}, False),
    ("Modality: {one_of: [CT, MR]}", {}, False),
    ("SeriesNumber: {one_of: [1, 02]}", {"SeriesNumber": "2"}, True),
    ("PatientName: {one_of: [doe^j, roe^r]}", {"PatientName": "Roe^R"}, True),
    # like ignores capitals
    ("Manufacturer: {like: 'siemens*'}", {"Manufacturer": "SIEMENS Healthineers"}, True),
    ("Manufacturer: {like: '*MENS'}", {"Manufacturer": "Siemens"}, True),
    ("Manufacturer: {like: 's*m?ns'}", {"Manufacturer": "Siemens"}, True),
    ("Manufacturer: {like: siemens}", {"Manufacturer": "SIEMENS"}, True),
    ("Manufacturer: {like: siemens}", {"Manufacturer": "SIEMENS AG"}, False),
    ("Manufacturer: {like: 's.*'}", {"Manufacturer": "SIEMENS"}, False),
    ("Manufacturer: {like: '*'}", {"Manufacturer": "x"}, True),
    ("Manufacturer: {like: '*'}", {}, False),
    ("Manufacturer: {like: 'a**b'}", {"Manufacturer": "axxb"}, True),
    ("ImageType: {like: 'loc*'}", {"ImageType": ("ORIGINAL", "LOCALIZER")}, True),
    # matches anywhere, capitals count
    (
        "StudyDescription: {matches: '^CT (Thorax|Abdomen)$'}",
        {"StudyDescription": "CT Thorax"},
        True,
    ),
    ("StudyDescription: {matches: '^CT$'}", {"StudyDescription": "CT Thorax"}, False),
    ("StudyDescription: {matches: thorax}", {"StudyDescription": "CT Thorax"}, False),
    ("StudyDescription: {matches: (?i)thorax}", {"StudyDescription": "CT Thorax"}, True),
    ("StudyDescription: {matches: Schädel}", {"StudyDescription": "CT Schädel nativ"}, True),
    # contains, starts_with, ends_with: ignore capitals
    ("StudyDescription: {contains: thorax}", {"StudyDescription": "CT THORAX nativ"}, True),
    ("StudyDescription: {contains: STRASSE}", {"StudyDescription": "Straße"}, True),
    ("StudyDescription: {contains: thorax}", {"StudyDescription": "CT Abdomen"}, False),
    ("ImageType: {contains: LOCALIZER}", {"ImageType": ("ORIGINAL", "LOCALIZER")}, True),
    ("AccessionNumber: {starts_with: EH-}", {"AccessionNumber": "eh-12"}, True),
    ("AccessionNumber: {starts_with: EH-}", {"AccessionNumber": "12EH-"}, False),
    ("AccessionNumber: {ends_with: -A}", {"AccessionNumber": "12-a"}, True),
    ("StudyInstanceUID: {starts_with: 1.2.840.}", {"StudyInstanceUID": "1.2.840.1"}, True),
    ("StudyDate: {starts_with: 2026}", {"StudyDate": "20260131"}, True),
    # limits
    ("SliceThickness: {at_most: 1.5}", {"SliceThickness": "1.5"}, True),
    ("SliceThickness: {at_most: 1.5}", {"SliceThickness": "1.51"}, False),
    ("SliceThickness: {at_most: 1.5}", {"SliceThickness": "thin"}, False),
    ("SliceThickness: {at_most: 1.5}", {"SliceThickness": ""}, False),
    ("SliceThickness: {at_most: 1.5}", {}, False),
    ("SliceThickness: {at_least: 1.5}", {"SliceThickness": "1.5"}, True),
    ("SliceThickness: {above: 1.5}", {"SliceThickness": "1.5"}, False),
    ("SliceThickness: {above: 1.5}", {"SliceThickness": "10"}, True),
    ("SliceThickness: {below: 1.5}", {"SliceThickness": "1.5"}, False),
    ("SliceThickness: {below: 1.5}", {"SliceThickness": "-3"}, True),
    ("SliceThickness: {at_least: 1, at_most: 2}", {"SliceThickness": "1.5"}, True),
    ("SliceThickness: {at_least: 1, at_most: 2}", {"SliceThickness": "3"}, False),
    ("PixelSpacing: {above: 0.6}", {"PixelSpacing": ("0.5", "0.7")}, True),
    ("StudyDate: {at_least: 2026-01-01}", {"StudyDate": "20251231"}, False),
    ("StudyDate: {at_least: 2026-01-01}", {"StudyDate": "20260101"}, True),
    ('StudyTime: {at_least: "18:00"}', {"StudyTime": "175959"}, False),
    ('StudyTime: {at_least: "18:00"}', {"StudyTime": "1800"}, True),
    ("PatientAge: {below: 018Y}", {"PatientAge": "017Y"}, True),
    ("PatientAge: {below: 2Y}", {"PatientAge": "023M"}, True),
    ("PatientAge: {below: 018Y}", {"PatientAge": "018Y"}, False),
    # present, empty
    ("PatientComments: {present: true}", {"PatientComments": ""}, True),
    ("PatientComments: {present: yes}", {}, False),
    ("PatientComments: {present: false}", {}, True),
    ("PatientComments: {present: no}", {"PatientComments": ""}, False),
    ("PatientComments: {empty: true}", {"PatientComments": ""}, True),
    ("PatientComments: {empty: true}", {"PatientComments": "x"}, False),
    ("PatientComments: {empty: true}", {}, False),
    ("PatientComments: {empty: false}", {"PatientComments": "x"}, True),
    ("PatientComments: {empty: false}", {}, False),
    ("RequestAttributesSequence: {present: true}", {"RequestAttributesSequence": "item"}, True),
    # several facts, groups
    (
        "Modality: CT\nBodyPartExamined: CHEST",
        {"Modality": "CT", "BodyPartExamined": "CHEST"},
        True,
    ),
    ("Modality: CT\nBodyPartExamined: CHEST", {"Modality": "CT"}, False),
    ("any: [{Modality: CT}, {Modality: MR}]", {"Modality": "MR"}, True),
    ("any: [{Modality: CT}, {Modality: MR}]", {"Modality": "US"}, False),
    ("any: [{Modality: CT, BodyPartExamined: CHEST}]", {"Modality": "CT"}, False),
    ("all: [{ImageType: A}, {ImageType: B}]", {"ImageType": ("A", "B")}, True),
    ("all: [{ImageType: A}, {ImageType: B}]", {"ImageType": "A"}, False),
    ("not: {Modality: CT}", {"Modality": "MR"}, True),
    ("not: {Modality: CT}", {}, True),
    ("not: {Modality: CT}", {"Modality": "CT"}, False),
    ("not: {Modality: CT, BodyPartExamined: CHEST}", {"Modality": "CT"}, True),
    ("not: {any: [{Modality: CT}, {not: {StationName: X}}]}", {"StationName": "X"}, True),
    # paths and private attributes
    (
        "RequestAttributesSequence.ScheduledProcedureStepID: S1",
        {"RequestAttributesSequence.ScheduledProcedureStepID": ("S0", "S1")},
        True,
    ),
    ("'0029,[SIEMENS CSA HEADER],10': x", {"0029,[SIEMENS CSA HEADER],10": "x"}, True),
    ("'0029,[SIEMENS MED SMS.1],10': {at_most: 5}", {"0029,[SIEMENS MED SMS.1],10": "4.5"}, True),
    ("'0029,[OTHER],10': x", {"0029,[SIEMENS CSA HEADER],10": "x"}, False),
    # file facts
    ("sop_class: 1.2.840.10008.5.1.4.1.1.2", {}, True),
    ("sop_class: CT Image Storage", {}, True),
    ("sop_class: CTImageStorage", {}, True),
    ("sop_class: image", {}, True),
    ("sop_class: sr", {}, False),
    ("sop_class: {one_of: [sr, pr]}", {"sop_class": "1.2.840.10008.5.1.4.1.1.88.11"}, True),
    ("sop_class: rt", {"sop_class": "1.2.840.10008.5.1.4.1.1.481.1"}, True),
    ("sop_class: encapsulated", {"sop_class": "1.2.840.10008.5.1.4.1.1.104.1"}, True),
    ("sop_class: 1.3.12.2.1107.5.9.1", {"sop_class": "1.3.12.2.1107.5.9.1"}, True),
    ("transfer_syntax: ExplicitVRLittleEndian", {}, True),
    ("transfer_syntax: {one_of: [JPEG2000Lossless, JPEG 2000 Image Compression]}", {}, False),
    ("compressed: false", {}, True),
    ("compressed: yes", {}, False),
    ("compressed: true", {"transfer_syntax": "1.2.840.10008.1.2.4.90"}, True),
    ("size: {above: 500KB}", {}, True),
    ("size: {at_least: 1 MiB}", {}, False),
    ("size: {at_most: 525000}", {}, True),
    # source facts
    ("source.calling_ae_title: CT01", {}, True),
    ("source.calling_ae_title: {like: 'ct*'}", {}, True),
    ("source.calling_ae_title: 0123", {"source.calling_ae_title": "0123"}, True),
    ("source.called_ae_title: {one_of: [A, ROUTER]}", {}, True),
    ("source.listener: main", {}, True),
    ("source.address: 10.1.0.0/16", {}, True),
    ("source.address: {one_of: [192.168.0.0/24, 10.1.2.3]}", {}, True),
    ("source.address: 10.2.0.0/16", {}, False),
    ("source.address: 10.1.0.0/16", {"source.address": "::ffff:10.1.2.3"}, True),
    ("source.address: 'fe80::/10'", {"source.address": "fe80::1%eth0"}, True),
    ("source.address: 10.1.0.0/16", {"source.address": "unknown"}, False),
    ("source.user: {present: true}", {}, False),
    ("source.tls_subject: {contains: cn=ct01}", {"source.tls_subject": "CN=ct01,O=EH"}, True),
    ("source.user: radiology", {}, False),
    # between
    ("SliceThickness: {between: {from: 1, to: 1.5}}", {"SliceThickness": "1.50"}, True),
    ("SliceThickness: {between: [1, 1.5]}", {"SliceThickness": "1.0"}, True),
    ("SliceThickness: {between: [1, 1.5]}", {"SliceThickness": "1.6"}, False),
    (
        "SliceThickness: {between: [{from: 1, to: 2}, {from: 3, to: 4}]}",
        {"SliceThickness": "3.5"},
        True,
    ),
    (
        "SliceThickness: {between: [{from: 1, to: 2}, {from: 3, to: 4}]}",
        {"SliceThickness": "2.5"},
        False,
    ),
    ("SliceThickness: {between: [1, 1.5]}", {"SliceThickness": "0.9"}, False),
    ("SliceThickness: {between: [1, 1.5]}", {"SliceThickness": "thin"}, False),
    ("SliceThickness: {between: [1, 1.5]}", {}, False),
    ("PixelSpacing: {between: [0.4, 0.6]}", {"PixelSpacing": ("0.3", "0.7")}, False),
    ("PixelSpacing: {between: [0.4, 0.6]}", {"PixelSpacing": ("0.3", "0.5")}, True),
    ("StudyDate: {between: [2026-01-01, 2026-01-31]}", {"StudyDate": "20260131"}, True),
    ("StudyDate: {between: [2026-01-01, 2026-01-31]}", {"StudyDate": "20260201"}, False),
    ("PatientAge: {between: [018Y, 065Y]}", {"PatientAge": "040Y"}, True),
    ("size: {between: [1KB, 1MB]}", {}, True),
    ('StudyTime: {between: ["08:00", "16:00"]}', {"StudyTime": "080000"}, True),
    ('StudyTime: {between: ["08:00", "16:00"]}', {"StudyTime": "160000"}, False),
    ('StudyTime: {between: ["19:00", "06:00"]}', {"StudyTime": "053000.5"}, True),
    ('StudyTime: {between: ["19:00", "06:00"]}', {"StudyTime": "2200"}, True),
    ('StudyTime: {between: ["19:00", "06:00"]}', {"StudyTime": "12"}, False),
    (
        "AcquisitionDateTime: {between: ['20260131110000+0000', '20260131120000+0000']}",
        {"AcquisitionDateTime": "20260131123000+0100"},
        True,
    ),
    # older_than, newer_than: against the moment the object came, 2026-03-31 12:00 UTC
    ("StudyDate: {older_than: 30d}", {"StudyDate": "20260301"}, True),
    ("StudyDate: {older_than: 30d}", {"StudyDate": "20260302"}, False),
    ("StudyDate: {older_than: 1 month}", {"StudyDate": "20260228"}, True),
    ("StudyDate: {older_than: 1mo}", {"StudyDate": "20260301"}, False),
    ("StudyDate: {older_than: 2w}", {"StudyDate": "20260316"}, True),
    ("StudyDate: {older_than: 9999y}", {"StudyDate": "00010101"}, True),
    ("StudyDate: {older_than: 30d}", {"StudyDate": "unknown"}, False),
    ("StudyDate: {older_than: 30d}", {}, False),
    ("StudyDate: {newer_than: 30d}", {"StudyDate": "20260302"}, True),
    ("StudyDate: {newer_than: 30d}", {"StudyDate": "20260301"}, False),
    ("StudyDate: {newer_than: 30d}", {"StudyDate": "20270101"}, True),
    ("StudyDate: {newer_than: 30d}", {}, False),
    ("PatientBirthDate: {older_than: 18y}", {"PatientBirthDate": "20080331"}, True),
    ("PatientBirthDate: {older_than: 18 years}", {"PatientBirthDate": "20080401"}, False),
    ("PatientBirthDate: {newer_than: 18y}", {"PatientBirthDate": "20080401"}, True),
    (
        "StudyDate: {older_than: 1d, zone: Pacific/Auckland}",  # it is the 1st of April there
        {"StudyDate": "20260331", "received": "2026-03-31T12:00:00+00:00"},
        True,
    ),
    ("AcquisitionDateTime: {newer_than: 2h}", {"AcquisitionDateTime": "202603311000"}, False),
    ("AcquisitionDateTime: {newer_than: 2h}", {"AcquisitionDateTime": "202603311001"}, True),
    (
        "AcquisitionDateTime: {newer_than: 30min}",
        {"AcquisitionDateTime": "202603311329+0200"},
        False,
    ),
    (
        "AcquisitionDateTime: {newer_than: 31min}",
        {"AcquisitionDateTime": "202603311330+0200"},
        True,
    ),
    (
        "AcquisitionDateTime: {newer_than: 1h, zone: Europe/Berlin}",
        {"AcquisitionDateTime": "202603311330"},
        True,
    ),
    ("AcquisitionDateTime: {older_than: 1y}", {"AcquisitionDateTime": "2025"}, True),
    ("AcquisitionDateTime: {older_than: 1h}", {"AcquisitionDateTime": "soon"}, False),
    ("'0029,[OTHER],10': {older_than: 1y}", {"0029,[OTHER],10": "20200101"}, True),
    # received: 2026-03-31 12:00 UTC is a Tuesday, 14:00 in Berlin
    ("received: {between: {from: '14:00', to: '15:00', zone: Europe/Berlin}}", {}, True),
    ("received: {between: {from: '12:00', to: '14:00', zone: Europe/Berlin}}", {}, False),
    ("received: {between: {from: '12:00', to: '14:00', zone: UTC}}", {}, True),
    ("received: {between: {from: '19:00', to: '06:00', zone: UTC}}", {}, False),
    (
        "received: {between: {from: '19:00', to: '06:00', zone: UTC}}",
        {"received": "2026-03-31T05:59:59+00:00"},
        True,
    ),
    ("received: {between: {weekdays: [mon-wed], zone: UTC}}", {}, True),
    ("received: {between: {weekdays: [sat, sunday], zone: UTC}}", {}, False),
    ("received: {between: {weekdays: wednesday, zone: Pacific/Auckland}}", {}, True),
    (
        "received: {between: [{weekdays: sat, zone: UTC}, {from: '12:00', zone: UTC}]}",
        {},
        True,
    ),
    ("received: {present: true}", {}, True),
    ("not: {received: {between: {weekdays: tue, zone: UTC}}}", {}, False),
]


@pytest.mark.parametrize(("when", "given", "expected"), CASES)
def test_a_condition_as_it_is_typed(
    holds: Callable[[str, Given], bool], when: str, given: Given, expected: bool
) -> None:
    assert holds(when, given) is expected


LISTS = {
    "vip.txt": "# people to look after\nDoe^Jane\n\n  Roe^Richard  \n",
    "numbers.txt": "1.5\n7",
    "networks.txt": "10.1.0.0/16\n192.168.0.7",
    "uids.txt": "1.2.3\n1.2.4\n",
    "classes.txt": "CT Image Storage\nsr\n",
}

IN_FILE: list[tuple[str, Given, bool]] = [
    ("PatientName: {in_file: vip.txt}", {"PatientName": "DOE^JANE"}, True),
    ("PatientName: {in_file: vip.txt}", {"PatientName": "Roe^Richard^^"}, True),
    ("PatientName: {in_file: vip.txt}", {"PatientName": "Poe^E"}, False),
    ("PatientName: {in_file: vip.txt}", {}, False),
    ("SliceThickness: {in_file: numbers.txt}", {"SliceThickness": "7.0"}, True),
    ("source.address: {in_file: networks.txt}", {}, True),
    ("source.address: {in_file: networks.txt}", {"source.address": "192.168.0.8"}, False),
    ("StudyInstanceUID: {in_file: uids.txt}", {"StudyInstanceUID": "1.2.4"}, True),
    ("sop_class: {in_file: classes.txt}", {}, True),
    ("'0029,[OTHER],10': {in_file: numbers.txt}", {"0029,[OTHER],10": "7"}, True),
    ("not: {PatientName: {in_file: vip.txt}}", {"PatientName": "Poe^E"}, True),
]


@pytest.mark.parametrize(("when", "given", "expected"), IN_FILE)
def test_values_in_a_list(
    facts_of: Callable[[Given], Facts], tmp_path: Path, when: str, given: Given, expected: bool
) -> None:
    for name, text in LISTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    text = f"routes:\n- name: it\n  send_to: there\n  when: {{{when}}}\n"
    table = rules_of_texts({"10.yaml": text}, folder=tmp_path)
    assert (match(table, facts_of(given)).routes == ("it",)) is expected


def test_what_rules_read_is_named_and_in_the_version(tmp_path: Path) -> None:
    (tmp_path / "10.yaml").write_text(
        "routes:\n- {name: a, send_to: b, when: {PatientID: {in_file: ids.txt}}}\n"
    )
    versions = set()
    for ids in ("1\n", "1\n2\n"):
        (tmp_path / "ids.txt").write_text(ids)
        table = load_rules(tmp_path, destinations=None)
        versions.add(table.version)
        assert table.files == (tmp_path / "10.yaml", tmp_path / "ids.txt")
    assert len(versions) == 2


def test_every_word_of_the_language_has_a_case() -> None:
    written = "\n".join(when for when, _, _ in [*CASES, *IN_FILE])
    assert [word for word in Condition.model_fields if f"{word}:" not in written] == []


def test_without_a_clock_no_time_holds(
    facts_of: Callable[[Given], Facts], table_of: Callable[[str], RouteTable]
) -> None:
    facts = replace(facts_of({"StudyDate": "20260101"}), received=None)
    for when in (
        "received: {between: {weekdays: mon-sun, zone: UTC}}",
        "StudyDate: {older_than: 1d}",
        "StudyDate: {newer_than: 99y}",
    ):
        table = table_of(f"routes:\n- {{name: it, send_to: there, when: {{{when}}}}}\n")
        assert match(table, facts).unrouted
    with pytest.raises(ValueError, match="zone"):
        replace(facts, received=datetime(2026, 1, 1))  # noqa: DTZ001


GROUPS: list[tuple[str, Given, bool]] = [
    ("study.objects: {at_least: 2}", {"study.objects": "2"}, True),
    ("study.objects: {at_least: 2}", {"study.objects": "1"}, False),
    ("study.objects: {between: [2, 3]}", {"study.objects": "3"}, True),
    ("study.objects: 1", {}, False),
    ("study.objects: {present: false}", {}, True),
    ("study.modalities: PT", {"study.modalities": ("CT", "PT")}, True),
    ("study.modalities: PT", {"study.modalities": ("CT",)}, False),
    ("all: [{study.modalities: CT}, {study.modalities: PT}]",
     {"study.modalities": ("CT", "PT")}, True),
    ("series.objects: {above: 100}", {"series.objects": "120"}, True),
    ("series.objects: {above: 100}", {"study.objects": "120"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("when", "given", "expected"), GROUPS)
def test_what_came_together(
    facts_of: Callable[[Given], Facts], when: str, given: Given, expected: bool
) -> None:
    slots, mistakes = Slots(), list[Mistake]()
    compiler = Compiler(slots, mistakes, Tables(None), in_group=True)
    checks = compiler.when(parse_document(when).validate(When))
    assert mistakes == []
    view = View(slots, facts_of(given))
    assert all_hold(checks, view) is expected
    assert (first_failure(checks, view) is None) is expected


SOME, LATER = (datetime.fromisoformat(day) for day in ("1971-01-01", "2500-01-01"))
FILE_FACTS = ("sop_class", "transfer_syntax", "size")
ALL = [when for when, _, _ in CASES]
EVERY_WORD = "routes:\n" + "".join(
    f"- name: route {n}\n  send_to: there\n  when:\n{indent(when, '    ')}\n"
    for n, when in enumerate(ALL)
)
TABLE = rules_of_texts({"10.yaml": EVERY_WORD})
ASKED = sorted({name for _, given, _ in CASES for name in given if "." not in name})
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from([value for _, given, _ in CASES for value in given.values()]),
    st.from_regex(r"[0-9]{0,8}([.+-][0-9]{0,6})?", fullmatch=True),
)


@given(
    attributes=st.dictionaries(
        st.sampled_from([name for name in ASKED if name not in ("received", *FILE_FACTS)]), TEXTS
    ),
    source=st.text(max_size=20),
    received=st.datetimes(SOME, LATER, timezones=st.timezones()),
)
@settings(max_examples=60, deadline=None)
def test_every_condition_has_an_answer_whatever_an_object_holds(
    attributes: dict[str, str | tuple[str, ...]],
    source: str,
    received: datetime,
    facts_of: Callable[[Given], Facts],
) -> None:
    sender = {"source.address": source, "source.calling_ae_title": source}
    facts = replace(facts_of({**attributes, **sender}), received=received)
    verdict = match(TABLE, facts)
    explained = explain(TABLE, facts)
    assert explained.routes == verdict.routes
    assert all((step.failure is None) is step.matched for step in explained.trail)

"""Users' tests: what passes, what fails and how it is told, and what is no test at all."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest
from pydicom.data import get_testdata_file

from rules.documents.reading import DocumentError
from rules.encoded.data_set import EncodedDataSet
from rules.routes import RouteTable
from rules.scenarios.running import Result, run_scenarios

TableOf = Callable[[str], RouteTable]

ROUTES = """
routes:
  - name: CT to AI
    when: {Modality: CT}
    edits:
      - prefix: {PatientID: EH-}
      - set: {StudyID: "{AccessionNumber}", InstitutionName: Spital Zürich, SliceThickness: 1.50}
      - remove: [PatientComments, private]
    send_to: ai
    priority: high
  - name: all
    send_to: pacs
"""
GIVEN = 'Modality: CT, PatientID: "1", AccessionNumber: A1'


def run(table: RouteTable, tmp_path: Path, text: str) -> list[Result]:
    path = tmp_path / "10.test.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return run_scenarios(table, [path], read_sample=read_sample)


def read_sample(path: Path) -> EncodedDataSet:
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    return EncodedDataSet.read(content, "1.2.840.10008.1.2.1", 144 + length)


def differences(table: RouteTable, tmp_path: Path, given: str, expect: str) -> list[str]:
    body = indent(dedent(expect), "    ")
    text = f"tests:\n- name: it\n  given: {{{given}}}\n  expect:\n{body}\n"
    [result] = run(table, tmp_path, text)
    assert result.line == 2
    return list(result.differences)


@pytest.mark.parametrize(
    ("given", "expect", "told"),
    [
        (GIVEN, "send_to: [pacs, ai]", []),
        (GIVEN, "send_to: pacs", ["send_to: expected [pacs], got [ai, pacs]"]),
        (GIVEN, "routes: [CT to AI, all]", []),
        (GIVEN, "routes: all", ["routes: expected [all], got [CT to AI, all]"]),
        (GIVEN, "priority: high", ["priority of all: expected high, got routine"]),
        (GIVEN, "at: {ai: {edited: {PatientID: EH-1, StudyID: A1}}}", []),
        (GIVEN, "at: {ai: {edited: {SliceThickness: 1.5}}}", []),
        (GIVEN, "at: {ai: {edited: {InstitutionName: Spital Zürich}}}", []),
        (
            GIVEN,
            "at: {ai: {edited: {PatientID: EH-2}}}",
            ["at ai: PatientID: expected 'EH-2', got 'EH-1'"],
        ),
        (
            GIVEN,
            "edited: {PatientID: EH-1}",
            ["at pacs: PatientID: expected 'EH-1', got '1'"],
        ),
        (GIVEN + ", PatientComments: x", "at: {ai: {removed: PatientComments}}", []),
        (
            GIVEN + ", PatientComments: x",
            "removed: PatientComments",
            ["at pacs: PatientComments: expected to be removed, got 'x'"],
        ),
        (GIVEN + ", PatientComments: ''", "at: {pacs: {edited: {PatientComments: ''}}}", []),
        (GIVEN, "edited: {PatientComments: ~}", []),
        (GIVEN, "at: {ris: {removed: StudyID}}", ["at ris: nothing is sent there"]),
        ("Modality: CT", "send_to: [ai, pacs]", ["held, as an edit failed"]),
        ("Modality: CT", "held: true", []),
        ("Modality: CT", "held: AccessionNumber is absent", []),
        ("Modality: CT", "held: too large", ["held: expected 'too large', got 'CT to AI: "]),
        (GIVEN, "unrouted: false", []),
        (GIVEN, "unrouted: true", ["unrouted: expected no route to match"]),
        (GIVEN, "held: true", ["held: expected an edit to fail, and none did"]),
        ("Modality: MR", "send_to: pacs", []),
        (GIVEN + ", '0029,[ACME],10': x", "at: {ai: {removed: ['0029,[ACME],10']}}", []),
        (GIVEN + ", Rows: 512, RecommendedDisplayFrameRateInFloat: 1.5", "edited: {Rows: 512}", []),
    ],
)
def test_what_a_test_expects(
    table_of: TableOf, tmp_path: Path, given: str, expect: str, told: list[str]
) -> None:
    found = differences(table_of(ROUTES), tmp_path, given, expect)
    assert len(found) == len(told)
    assert all(one.startswith(begin) for one, begin in zip(found, told, strict=True))


def test_facts_of_file_and_source_can_be_given(table_of: TableOf, tmp_path: Path) -> None:
    table = table_of(
        """
        routes:
          - name: it
            send_to: x
            when:
              sop_class: rt
              transfer_syntax: JPEG2000
              size: {above: 1MB}
              source.address: 10.0.0.0/8
              source.tls_subject: CN=a
              RequestAttributesSequence.ScheduledProcedureStepID: S1
              RequestAttributesSequence: {empty: false}
              SOPClassUID: 1.2.840.10008.5.1.4.1.1.481.5
              StudyInstanceUID: {present: true}
              SeriesInstanceUID: {present: false}
        """
    )
    given = (
        "sop_class: RT Plan Storage, transfer_syntax: JPEG2000, size: 2MB, "
        "source.address: 10.1.1.1, source.tls_subject: CN=a, SeriesInstanceUID: ~, "
        "RequestAttributesSequence.ScheduledProcedureStepID: S1"
    )
    assert differences(table, tmp_path, given, "send_to: x") == []


def test_the_time_can_be_given(table_of: TableOf, tmp_path: Path) -> None:
    hours = '{from: "22:00", to: "06:00", zone: Europe/Berlin}'
    table = table_of(
        f"routes: [{{name: it, send_to: x, when: {{received: {{between: {hours}}}}}}}]"
    )
    for moment, places in (
        ("2026-11-21 22:30 Europe/Berlin", "[x]"),
        ("2026-11-21 21:30", "[x]"),
        ("2026-11-21T22:30+02:00", "[]"),
        ("2026-11-21 20:30", "[]"),
    ):
        assert differences(table, tmp_path, f"received: {moment}", f"send_to: {places}") == []


def test_the_transfer_syntax_can_be_expected(table_of: TableOf, tmp_path: Path) -> None:
    routes = """
    routes:
      - name: small
        send_to: pacs
        edits: [{transfer_syntax: ExplicitVRLittleEndian}, {transfer_syntax: RLELossless}]
      - {name: as it came, send_to: ai}
    """
    both = "{pacs: {transfer_syntax: RLE Lossless}, ai: {transfer_syntax: 1.2.840.10008.1.2.1}}"
    assert differences(table_of(routes), tmp_path, "Modality: CT", f"at: {both}") == []
    wrong = differences(table_of(routes), tmp_path, "Modality: CT", "transfer_syntax: RLELossless")
    assert wrong == [
        "at ai: transfer_syntax: expected 1.2.840.10008.1.2.5, got 1.2.840.10008.1.2.1"
    ]


def test_what_came_together_can_be_given(table_of: TableOf, tmp_path: Path) -> None:
    table = table_of(
        """
        routes:
          - name: it
            send_to: x
            wait_for: {study: 60s}
            when:
              received: {between: {from: "22:00", to: "06:00", zone: Europe/Berlin}}
              study.objects: {at_least: 3}
              study.modalities: CT
        """
    )
    group = "study.objects: 3, study.modalities: [CT, SR]"
    late, early = "2026-11-21 22:30 Europe/Berlin", "2026-11-21 20:30"
    given = f"received: {late}, {group}"
    assert differences(table, tmp_path, given, "send_to: x") == []
    assert differences(table, tmp_path, f"received: {early}, {group}", "send_to: []") == []
    assert differences(table, tmp_path, f"received: {late}", "send_to: []") == []


def test_a_destination_can_be_down(table_of: TableOf, tmp_path: Path) -> None:
    table = table_of("routes: [{name: it, send_to: {failover: [one, two]}}]")
    text = "tests: [{{name: a, down: {}, expect: {{send_to: [{}]}}}}]"
    for down, place in (("[]", "one"), ("one", "two"), ("[two]", "one")):
        [result] = run(table, tmp_path, text.format(down, place))
        assert result.passed, result.differences


def test_a_file_in_place_of_attributes(table_of: TableOf, tmp_path: Path) -> None:
    sample = tmp_path / "ct.dcm"
    sample.write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())
    text = """\
        tests:
          - name: a CT
            file: ct.dcm
            given: {source.calling_ae_title: CT01}
            expect: {send_to: [ai, pacs], at: {ai: {edited: {PatientID: EH-1CT1}}}}
        """
    table = table_of(ROUTES.replace("Spital Zürich", "Spital"))
    assert [result.differences for result in run(table, tmp_path, text)] == [()]


@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        ("{name: a, given: {Modallity: CT}, expect: {}}", "given.Modallity", "Modality"),
        (
            "{name: a, given: {source.adress: x}, expect: {}}",
            "given.source.adress",
            "source.address",
        ),
        ("{name: a, given: {Rows: many}, expect: {}}", "given.Rows", None),
        ("{name: a, given: {sop_class: CTT}, expect: {}}", "given.sop_class", None),
        ("{name: a, given: {size: big}, expect: {}}", "given.size", None),
        ("{name: a, given: {received: noon}, expect: {}}", "given.received", None),
        ("{name: a, given: {study.objects: many}, expect: {}}", "given.study.objects", None),
        ("{name: a, expect: {sent_to: x}}", "expect.sent_to", "send_to"),
        ("{name: a, expect: {removed: [StudyIDD]}}", "expect.removed", "StudyID"),
        (
            "{name: a, expect: {at: {x: {edited: {StudyIDD: y}}}}}",
            "expect.at.x.edited.StudyIDD",
            "StudyID",
        ),
        ("{name: a, file: none.dcm, expect: {}}", "file", None),
        ("{name: a, file: none.dcm, given: {Modality: CT}, expect: {}}", "given.Modality", None),
        ("{name: a}", "expect", None),
    ],
)
def test_a_file_that_is_no_test(
    table_of: TableOf, tmp_path: Path, text: str, key: str, suggestion: str | None
) -> None:
    with pytest.raises(DocumentError) as caught:
        run(table_of(ROUTES), tmp_path, f"tests:\n- {text}\n")
    [problem] = caught.value.problems
    assert (problem.line, problem.key, problem.suggestion) == (2, f"tests[0].{key}", suggestion)

"""`dicom-router rules`: check, test and explain, through the door; and the examples that ship."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydicom.data import get_testdata_file

EXAMPLES = Path(__file__).parents[3] / "examples"
SITES = sorted(EXAMPLES.glob("*/site.yaml"))
CT = str(get_testdata_file("CT_small.dcm"))

TESTS = """\
tests:
  - name: a chest CT
    given: {Modality: CT, BodyPartExamined: CHEST, source.calling_ae_title: CT01}
    expect: {send_to: [ai, pacs]}
  - name: a chest MR
    given: {Modality: MR, BodyPartExamined: CHEST}
    expect: {send_to: [pacs]}
"""


@pytest.fixture
def rules(site_file: Path) -> Path:
    return site_file.parent / "rules"


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.parent.name)
def test_the_examples_are_sound_and_their_tests_pass(call: Any, site: Path):
    assert call("rules", "check", "--strict", "-c", site).code == 0
    results = call("rules", "test", "-c", site, "--json").json
    assert results
    assert [result for result in results if not result["passed"]] == []


def test_sound_rules_are_good(call: Any, site_file: Path, rules: Path):
    said = call("rules", "check", "-c", site_file)
    assert said.code == 0
    assert said.out.startswith(f"{rules}: good. 2 routes, version ")
    assert "quiet: no route sends to this destination. " in said.err
    assert "[warning: unused-destination]" in said.err
    assert call("rules", "check", "-c", site_file, "--strict").code == 1


def test_kinds_can_be_left_out(call: Any, site_file: Path):
    strict = ("rules", "check", "-c", site_file, "--strict")
    assert call(*strict).code == 1
    said = call(*strict, "--ignore", "unused-destination")
    assert (said.code, said.err) == (0, "")
    said = call(*strict, "--ignore", "unused")
    assert said.code == 2
    assert "there is no kind unused to ignore" in said.err


def test_the_tests_beside_the_rules_are_checked_too(call: Any, site_file: Path, rules: Path):
    (rules / "10.test.yaml").write_text("tests: [{name: a, given: {Modality: CT}, expect: {}}]\n")
    told = call("rules", "check", "-c", site_file, "--json").json
    assert sorted(one["kind"] for one in told["findings"]) == [
        "no-assertion",
        "untested",
        "untested",
        "unused-destination",
    ]
    (rules / "10.test.yaml").write_text("tests: [{name: a, given: {Modallity: CT}, expect: {}}]\n")
    said = call("rules", "check", "-c", site_file)
    assert said.code == 2
    assert "(did you mean Modality?) [error: mistake]" in said.err


def test_a_folder_apart_from_its_site_has_no_destinations_to_check(call: Any, rules: Path):
    said = call("rules", "check", rules, "--strict")
    assert (said.code, said.err) == (0, "")


def test_mistakes_have_a_place_and_a_code(call: Any, site_file: Path, rules: Path):
    broken = rules / "10-routes.yaml"
    broken.write_text("routes:\n- {name: a, send_to: pasc, when: {Modallity: CT}}\n")
    said = call("rules", "check", "-c", site_file)
    assert said.code == 2
    assert f"{broken}:2:35: routes[0].when.Modallity: " in said.err
    assert "(did you mean Modality?)" in said.err
    told = call("rules", "check", "-c", site_file, "--json").json
    assert [one["suggestion"] for one in told["findings"]] == ["pacs", "Modality"]
    assert (told["error"], told["warning"], told["version"]) == (2, 0, None)
    assert call("rules", "test", "-c", site_file).code == 2
    assert call("rules", "explain", CT, "-c", site_file).code == 2


def test_a_test_that_fails_is_told(call: Any, site_file: Path, rules: Path, tmp_path: Path):
    (rules / "10.test.yaml").write_text(TESTS)
    junit = tmp_path / "results.xml"

    said = call("rules", "test", "-c", site_file, "--junit", junit)

    assert said.code == 1
    assert said.out.splitlines() == [
        "pass  a chest CT",
        "FAIL  a chest MR",
        f"      {rules / '10.test.yaml'}:5",
        "      send_to: expected [pacs], got [ai]",
        "        CT to pacs does not match: Modality: wanted value CT, found MR",
        "2 tests: 1 passed, 1 failed",
    ]
    suites = ElementTree.parse(junit).getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("2", "1")
    [failure] = suites.iter("failure")
    assert failure.get("message") == "send_to: expected [pacs], got [ai]"


def test_coverage_shows_what_no_test_has_tried(call: Any, rules: Path):
    (rules / "10.test.yaml").write_text(TESTS)
    said = call("rules", "test", rules, "--coverage")
    assert said.out.split("\n\n")[1].splitlines() == [
        "    1 matched, 1 passed by  CT to pacs",
        "    2 matched, 0 passed by  chest to ai",
        "      never failed: BodyPartExamined: value CHEST",
        "coverage: 2 of 2 routes matched, 2 of 3 conditions seen both ways",
    ]
    told = call("rules", "test", rules, "--coverage", "--json").json
    assert [one["matched"] for one in told["coverage"]] == [1, 2]
    assert len(told["results"]) == 2


def test_no_tests_is_said(call: Any, rules: Path):
    said = call("rules", "test", rules)
    assert (said.code, said.out) == (0, f"{rules}: no tests (files *.test.yaml)\n")


def test_explain_shows_both_values(call: Any, site_file: Path):
    said = call("rules", "explain", CT, "-c", site_file, "--from", "CT09")
    assert said.code == 0
    assert said.out.splitlines() == [
        CT,
        "  no     CT to pacs",
        "           source.calling_ae_title: wanted one_of [CT01, CT02], found CT09",
        "  no     chest to ai",
        "           BodyPartExamined: wanted value CHEST, found absent",
        "  no route matches: the site's on_no_match decides",
    ]


def test_explain_as_json(call: Any, rules: Path):
    [told] = call("rules", "explain", CT, "--rules", rules, "--from", "CT01", "--json").json
    assert told["dispatches"] == [
        {
            "route": "CT to pacs",
            "send_to": ["pacs"],
            "edits": [],
            "deidentify": None,
            "priority": "routine",
            "between": None,
            "choices": [],
        }
    ]
    assert [route["matched"] for route in told["routes"]] == [True, False]


def test_explain_of_what_is_no_dicom_file(call: Any, rules: Path, tmp_path: Path):
    other = tmp_path / "notes.txt"
    for content in (b"", b"x" * 500, Path(CT).read_bytes()[:150]):
        other.write_bytes(content)
        said = call("rules", "explain", other, "--rules", rules)
        assert said.code == 2
        assert said.err.startswith(f"{other}: cannot be read: ")
    said = call("rules", "explain", "A-1", "--rules", rules)
    assert said.code == 2
    assert "there is no file A-1" in said.err
    assert "dicom-router trace" in said.err

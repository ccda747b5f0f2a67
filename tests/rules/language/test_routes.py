"""The route list: what a table of routes decides, and how it explains itself."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.facts import Attributes, Facts
from rules.loading import rules_of_texts
from rules.routes import RouteTable, explain, match
from rules.tags import AttributePath

Given = Mapping[str, str | tuple[str, ...]]
TableOf = Callable[[str], RouteTable]
FactsOf = Callable[[Given], Facts]

SITE = """
    routes:
      - name: scout views nowhere near the AI
        disabled: true
        when: {ImageType: LOCALIZER}
        send_to: trash
      - name: thin CT to AI
        when: {Modality: CT, SliceThickness: {at_most: 1.5}}
        edits: [prefix: {PatientID: EH-}]
        send_to: [ai, pacs]
        priority: stat
      - name: reports end here
        when: {Modality: SR}
        send_to: ris
        stop: true
      - name: everything to the archive
        send_to: [pacs, vna]
"""


@pytest.mark.parametrize(
    ("given", "routes", "dispatches"),
    [
        (
            {"Modality": "CT", "SliceThickness": "1.0"},
            ("thin CT to AI", "everything to the archive"),
            [("thin CT to AI", ("ai", "pacs")), ("everything to the archive", ("vna",))],
        ),
        (
            {"Modality": "CT", "SliceThickness": "5"},
            ("everything to the archive",),
            [("everything to the archive", ("pacs", "vna"))],
        ),
        ({"Modality": "SR"}, ("reports end here",), [("reports end here", ("ris",))]),
        (
            {"ImageType": "LOCALIZER"},
            ("everything to the archive",),
            [("everything to the archive", ("pacs", "vna"))],
        ),
    ],
)
def test_matching_routes_contribute_until_one_says_stop(
    table_of: TableOf,
    facts_of: FactsOf,
    given: Given,
    routes: tuple[str, ...],
    dispatches: list[tuple[str, tuple[str, ...]]],
) -> None:
    verdict = match(table_of(SITE), facts_of(given))

    assert verdict.routes == routes
    assert [(d.route, d.destinations) for d in verdict.dispatches] == dispatches
    assert len(set(verdict.destinations)) == len(verdict.destinations)
    assert not verdict.unrouted


def test_an_object_that_no_route_matches_is_unrouted(table_of: TableOf, facts_of: FactsOf) -> None:
    table = table_of("routes: [{name: a, when: {Modality: CT}, send_to: pacs}]")

    verdict = match(table, facts_of({"Modality": "MR"}))

    assert verdict.unrouted
    assert verdict.dispatches == ()
    assert match(table_of("routes: []"), facts_of({})).unrouted


def test_a_route_whose_destinations_are_all_served_has_matched(
    table_of: TableOf, facts_of: FactsOf
) -> None:
    table = table_of("routes: [{name: a, send_to: pacs}, {name: b, send_to: pacs}]")

    verdict = match(table, facts_of({}))

    assert verdict.routes == ("a", "b")
    assert [d.route for d in verdict.dispatches] == ["a"]


def test_the_dispatch_carries_what_the_route_says(table_of: TableOf, facts_of: FactsOf) -> None:
    first, second = match(
        table_of(SITE), facts_of({"Modality": "CT", "SliceThickness": "1"})
    ).dispatches

    assert first.priority == "stat"
    assert first.record
    assert len(first.edits) == 1
    assert first.edits_key
    assert (second.priority, second.edits, second.edits_key) == ("routine", (), "")


def test_equal_edits_share_a_key_and_others_do_not(table_of: TableOf) -> None:
    table = table_of(
        """
        routes:
          - {name: a, send_to: x, edits: [prefix: {PatientID: A-}]}
          - {name: b, send_to: y, edits: [prefix: {"0010,0020": A-}]}
          - {name: c, send_to: z, edits: [prefix: {PatientID: B-}]}
          - {name: d, send_to: z, edits: [prefix: {PatientID: A-}], record: false}
          - {name: e, send_to: z, edits: [prefix: {PatientID: A-}, upper: PatientName]}
          - {name: f, send_to: z, edits: [upper: PatientName, prefix: {PatientID: A-}]}
        """
    )

    keys = [route.dispatch.edits_key for route in table.routes]

    assert keys[0] == keys[1]
    assert len(set(keys)) == 5


def test_explain_says_what_was_wanted_and_what_was_found(
    table_of: TableOf, facts_of: FactsOf
) -> None:
    table = table_of(
        SITE
        + """
      - name: late
        when: {Modality: CT}
        send_to: pacs
"""
    )

    facts = facts_of({"Modality": "SR", "SliceThickness": "1.0"})
    trail = explain(table, facts).trail

    assert [(s.route, s.matched, s.skipped) for s in trail] == [
        ("scout views nowhere near the AI", False, "disabled"),
        ("thin CT to AI", False, None),
        ("reports end here", True, None),
        ("everything to the archive", False, "reports end here says stop"),
        ("late", False, "reports end here says stop"),
    ]
    failure = trail[1].failure
    assert failure is not None
    assert (failure.key, failure.wanted, failure.found) == ("Modality", "value CT", "SR")
    assert explain(table, facts).dispatches == match(table, facts).dispatches


@pytest.mark.parametrize(
    ("when", "given", "lines"),
    [
        ("Modality: CT", {}, [("Modality", "value CT", "absent")]),
        ("Modality: CT", {"Modality": ""}, [("Modality", "value CT", "empty")]),
        (
            "Modality: {one_of: [CT, MR]}",
            {"Modality": "US"},
            [("Modality", "one_of [CT, MR]", "US")],
        ),
        (
            "SliceThickness: {at_least: 1, at_most: 2}",
            {"SliceThickness": "3"},
            [("SliceThickness", "at_most 2", "3")],
        ),
        (
            "ImageType: {contains: LOC}",
            {"ImageType": ("ORIGINAL", "AXIAL")},
            [("ImageType", "contains LOC", r"ORIGINAL\AXIAL")],
        ),
        (
            "any: [{Modality: CT}, {StationName: {present: true}}]",
            {"Modality": "MR"},
            [
                ("any", "one of 2 alternatives", "none of them holds"),
                ("Modality", "value CT", "MR"),
                ("StationName", "present true", "absent"),
            ],
        ),
        (
            "not: {Modality: CT}",
            {"Modality": "CT"},
            [("not", "not (Modality value CT)", "it holds")],
        ),
        ("compressed: true", {}, [("compressed", "value true", "false")]),
    ],
)
def test_a_failure_names_the_condition_and_both_values(
    table_of: TableOf,
    facts_of: FactsOf,
    when: str,
    given: Given,
    lines: list[tuple[str, str, str]],
) -> None:
    table = table_of(f"routes: [{{name: a, send_to: x, when: {{{when}}}}}]")

    failure = explain(table, facts_of(given)).trail[0].failure

    assert failure is not None
    told = [failure, *failure.below]
    assert [(one.key, one.wanted, one.found) for one in told] == lines


def test_the_version_follows_the_texts() -> None:
    one = {"10.yaml": "routes: [{name: a, send_to: x}]"}

    assert rules_of_texts(one).version == rules_of_texts(dict(one)).version
    assert rules_of_texts(one).texts == one
    changed = {"10.yaml": one["10.yaml"] + "\n# a word"}
    renamed = {"11.yaml": one["10.yaml"]}
    versions = {rules_of_texts(texts).version for texts in (one, changed, renamed)}
    assert len(versions) == 3


def test_a_fact_is_read_once_for_each_object(facts_of: FactsOf) -> None:
    routes = "".join(
        f"- {{name: r{n}, send_to: x, when: {{Modality: M{n}, StationName: {{like: s*}}}}}}\n"
        for n in range(50)
    )
    table = rules_of_texts({"10.yaml": f"routes:\n{routes}"})
    facts = facts_of({"Modality": "CT", "StationName": "S1"})
    counted = Counting(facts.attributes)

    match(table, Facts(attributes=counted, source=facts.source, file=facts.file))

    assert counted.asked == ["Modality"]


class Counting:
    """Attributes that note what they are asked for."""

    def __init__(self, inner: Attributes) -> None:
        self.inner = inner
        self.asked: list[str] = []

    def values(self, path: AttributePath) -> tuple[str, ...] | None:
        self.asked.append(str(path))
        return self.inner.values(path)

    def vr(self, path: AttributePath) -> str | None:
        return self.inner.vr(path)


EVERYTHING = """
routes:
  - name: everything
    send_to: x
    when:
      any:
        - Modality: {value: CT, one_of: [A, B], like: "a*b?", matches: "^a|b$", contains: x}
        - not: {PatientName: {value: "a^b=c", starts_with: q, ends_with: z}}
        - StudyDate: {value: 2026-01-31, at_least: 2020-01-01}
        - StudyTime: {value: 1200, below: 1300}
        - AcquisitionDateTime: {value: 20260131, above: 2020}
        - PatientAge: {value: 018Y, at_most: 080Y}
        - SliceThickness: {value: 1.5, above: 1}
        - RecommendedDisplayFrameRateInFloat: {value: 1.5, above: 1}
        - PixelSpacing: '0.5\\0.5'
        - "0029,[ACME],10": {value: "1.5", at_most: 3, like: "*"}
        - "0029,1010": {at_most: 2026-01-31, present: true, empty: false}
        - PixelData: {present: true}
        - source.address: {one_of: [10.0.0.0/8, "::1"]}
        - source.calling_ae_title: {value: X}
        - sop_class: sr
        - transfer_syntax: ExplicitVRLittleEndian
        - {compressed: yes, size: {above: 1KB}}
"""
NAMES = [
    "Modality",
    "PatientName",
    "StudyDate",
    "StudyTime",
    "AcquisitionDateTime",
    "PatientAge",
    "SliceThickness",
    "RecommendedDisplayFrameRateInFloat",
    "PixelSpacing",
    "0029,[ACME],10",
    "0029,1010",
    "source.address",
    "source.calling_ae_title",
    "sop_class",
    "transfer_syntax",
]
TABLE = rules_of_texts({"10.yaml": EVERYTHING})
HOSTILE = st.text(max_size=20) | st.from_regex(r"[0-9+\-.:^=\\ DWMYTe]{0,20}", fullmatch=True)


@given(values=st.dictionaries(st.sampled_from(NAMES), HOSTILE | st.tuples(HOSTILE, HOSTILE)))
def test_match_has_an_answer_for_every_object(facts_of: FactsOf, values: Given) -> None:
    facts = facts_of(values)

    verdict = match(TABLE, facts)

    assert verdict.unrouted != bool(verdict.dispatches)
    explained = explain(TABLE, facts)
    assert explained.trail[0].matched != verdict.unrouted
    assert (explained.trail[0].failure is None) != verdict.unrouted


@given(
    vr=st.none() | st.sampled_from(["PN", "DS", "FL", "DA", "UN", "SQ", "OB", "??", "UI", "TM"]),
    value=HOSTILE,
)
def test_a_private_attribute_of_any_vr_has_an_answer(
    facts_of: FactsOf, vr: str | None, value: str
) -> None:
    facts = facts_of({"0029,[ACME],10": value})

    class OfVr(Counting):
        def vr(self, path: AttributePath) -> str | None:
            return vr

    other = Facts(attributes=OfVr(facts.attributes), source=facts.source, file=facts.file)
    match(TABLE, other)


@pytest.mark.parametrize(
    ("vr", "wanted", "value", "expected"),
    [
        ("DS", "1.5", "1.50", True),
        ("LO", "1.5", "1.50", False),
        ("PN", "doe^jane", "DOE^JANE^", True),
        ("UN", "abc", "abc", True),
        (None, "abc", "abc", True),
        ("DS", "abc", "abc", False),
        ("DA", "2026-01-31", "20260131", True),
    ],
)
def test_the_objects_vr_decides_where_the_dictionary_knows_none(
    facts_of: FactsOf, vr: str | None, wanted: str, value: str, expected: bool
) -> None:
    class OfVr(Counting):
        def vr(self, path: AttributePath) -> str | None:
            return vr

    table = rules_of_texts(
        {"a.yaml": f"routes: [{{name: a, send_to: x, when: {{'0029,[ACME],10': '{wanted}'}}}}]"}
    )
    facts = facts_of({"0029,[ACME],10": value})
    facts = Facts(attributes=OfVr(facts.attributes), source=facts.source, file=facts.file)

    assert match(table, facts).unrouted is not expected

"""What a modality is promised, policy by policy."""

import pytest

from router.commitment.judging import verdict
from router.ledger.orders import Kept

CT = "1.2.840.10008.5.1.4.1.1.2"


def rows(state: str = "routed", **deliveries: str) -> list[Kept]:
    return [
        Kept(
            sop_instance_uid="2.25.1",
            sop_class_uid=CT,
            object_id="0" * 32,
            state=state,
            destination=name,
            delivery_state=delivery,
        )
        for name, delivery in (deliveries or {"": ""}).items()
    ]


def judged(policy: str, found: list[Kept], **changes: object) -> int | None:
    terms = {"policy": policy, "reference": "pacs", "proving": {"pacs", "vna"}, **changes}
    return verdict(found, CT, **terms)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["own", "all", "any", "reference"])
def test_what_is_not_there_is_not_known_and_another_class_is_a_conflict(policy: str) -> None:
    assert judged(policy, []) is None
    assert verdict(rows(), "1.2.3", policy=policy, reference="pacs", proving=()) == 0x0119  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "deliveries", "expected"),
    [
        ("received", {}, 0),
        ("held", {}, 0),
        ("routed", {"pacs": "waiting"}, 0),
        ("routed", {"pacs": "failed"}, 0),
        ("forgotten", {"pacs": "committed"}, 0),
        ("forgotten", {}, 0x0112),
        ("discarded", {}, 0x0112),
    ],
)
def test_own(state: str, deliveries: dict[str, str], expected: int) -> None:
    assert judged("own", rows(state, **deliveries)) == expected


@pytest.mark.parametrize(
    ("state", "deliveries", "expected"),
    [
        ("received", {}, None),
        ("routed", {}, None),
        ("routed", {"pacs": "committed"}, 0),
        ("routed", {"pacs": "delivered"}, None),
        ("routed", {"pacs": "committed", "vna": "delivered"}, None),
        ("routed", {"pacs": "committed", "vna": "committed"}, 0),
        ("routed", {"pacs": "committed", "disk": "delivered"}, 0),
        ("routed", {"pacs": "committed", "disk": "waiting"}, None),
        ("routed", {"pacs": "committed", "disk": "cancelled"}, 0),
        ("routed", {"pacs": "cancelled"}, None),
        ("bundled", {"pacs": "committed"}, None),
    ],
)
def test_all(state: str, deliveries: dict[str, str], expected: int | None) -> None:
    assert judged("all", rows(state, **deliveries)) == expected


def test_any_and_reference() -> None:
    half = rows(pacs="delivered", vna="committed")
    assert judged("any", half) == 0
    assert judged("reference", half) is None
    assert judged("reference", half, reference="vna") == 0
    assert judged("any", rows(disk="delivered")) is None

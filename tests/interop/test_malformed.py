"""What is broken gets a status; what was taken all the same is delivered or held with a reason.

Broken here: pydicom's test files without meta information or without identifiers, objects that are
cut short, and objects that are not in the transfer syntax that they claim.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.router_under_test import RouterUnderTest
from tests.interop import corpus
from tests.interop.conftest import settle
from tests.interop.corpus import Specimen
from tests.interop.senders import Pynetdicom

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

CT = "1.2.840.10008.5.1.4.1.1.2"
WITHOUT_META = {
    "no_meta.dcm": corpus.IMPLICIT_LE,
    "ExplVR_LitEndNoMeta.dcm": corpus.EXPLICIT_LE,
    "ExplVR_BigEndNoMeta.dcm": corpus.EXPLICIT_BE,
    "rtstruct.dcm": corpus.IMPLICIT_LE,
}
WITHOUT_IDENTIFIERS = ["UN_sequence.dcm", "nested_priv_SQ.dcm", "priv_SQ.dcm", "DICOMDIR-empty.dcm"]


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterUnderTest]:
    folder = tmp_path_factory.mktemp("malformed")
    with RouterUnderTest(
        folder / "router",
        destinations=[{"name": "folder", "folder": {"path": str(folder / "received")}}],
        # A condition, so that every object is looked into.
        routes=[{"name": "not ours", "when": {"Modality": "XX"}, "send_to": ["folder"]}],
        on_no_match="folder",
    ) as router:
        yield router


def specimen(path: Path, number: int, syntax: str, offset: int) -> Specimen:
    """An object that claims to be a CT slice, whatever it is."""
    content = path.read_bytes()[offset:]
    return Specimen(
        name=path.name,
        path=path,
        sop_class_uid=CT,
        sop_instance_uid=f"2.25.4711.{number}",
        transfer_syntax_uid=syntax,
        offset=offset,
        data_set=content + b"\0" * (len(content) % 2),
    )


def broken(folder: Path) -> Iterator[Specimen]:
    number = 0
    for name, syntax in WITHOUT_META.items():
        (path,) = corpus.TEST_FILES.rglob(name)
        yield specimen(path, number := number + 1, syntax, 0)
    for name in WITHOUT_IDENTIFIERS:
        (path,) = corpus.TEST_FILES.rglob(name)
        _, offset, _ = corpus.read_part10(path)
        yield specimen(path, number := number + 1, corpus.EXPLICIT_LE, offset)
    (ct,) = corpus.TEST_FILES.rglob("CT_small.dcm")
    _, offset, data_set = corpus.read_part10(ct)
    for length in (1, 7, 8, 9, 200, 1001, len(data_set) - 1):
        cut = folder / f"cut-to-{length}.dcm"
        cut.write_bytes(data_set[:length])
        yield specimen(cut, number := number + 1, corpus.EXPLICIT_LE, 0)
    for syntax in (corpus.IMPLICIT_LE, corpus.EXPLICIT_BE, corpus.DEFLATED):
        yield specimen(ct, number := number + 1, syntax, offset)


def test_what_is_broken_gets_a_status_and_a_reason(router: RouterUnderTest, tmp_path: Path) -> None:
    objects = list(broken(tmp_path))

    statuses = Pynetdicom().statuses(objects, router.port, "ROUTER")
    settle(router)

    answers = dict(zip([one.name for one in objects], statuses, strict=True))
    assert not [name for name, status in answers.items() if status is None]
    taken = {o.sop_instance_uid for o, status in zip(objects, statuses, strict=True) if status == 0}
    fates = router.ask("SELECT sop_instance_uid, state, reason FROM objects")
    assert {uid for uid, _, _ in fates} == taken
    unexplained = [fate for fate in fates if fate[1] not in ("routed", "unrouted") and not fate[2]]
    assert not unexplained
    assert any(state == "held" for _, state, _ in fates) or len(taken) < len(objects)


def test_the_router_lives_on(router: RouterUnderTest, tmp_path: Path) -> None:
    Pynetdicom().statuses(list(broken(tmp_path)), router.port, "ROUTER")
    sound = [one for one in corpus.storage_objects() if one.name == "CT_small.dcm"]

    Pynetdicom().send(sound, router.port, "ROUTER")
    settle(router)

    delivered = router.count(
        "SELECT count(*) FROM deliveries JOIN objects ON objects.id = deliveries.object_id "
        "WHERE sop_instance_uid = ? AND deliveries.state = 'delivered'",
        sound[0].sop_instance_uid,
    )
    assert delivered == 1

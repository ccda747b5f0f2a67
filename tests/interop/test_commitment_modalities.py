"""Modalities made with pynetdicom and dcmjs-dimse ask the router to commit, and hear its reports;
then tshark's opinion of all that was said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne, instance, new_uid
from tests.faults.router_under_test import RouterUnderTest
from tests.interop.capture import Capture
from tests.interop.receivers import DCMJS, HERE
from tests.interop.scripted_archive import (
    Roles,
    ScriptedModality,
    Transaction,
    new_transaction,
    request_of,
    say,
)
from tests.programs import Program, free_port, missing, needed, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

KEPT = 3
SUCCESS, PROCESSING_FAILURE, NO_SUCH_INSTANCE = 0x0000, 0x0110, 0x0112
INVALID_ARGUMENT, NO_SUCH_ACTION = 0x0115, 0x0123
ROLES: dict[str, Roles | None] = {
    "SILENT": None,
    "STRICT": (False, True),
    "LENIENT": (True, True),
}
"""Modalities by what they grant to a router that wants to report as SCP."""


@dataclass
class Scene:
    """The router, what it has, and a port for each modality."""

    router: RouterUnderTest
    uids: list[str]
    ports: dict[str, int]
    capture: Capture

    def modality(self, name: str, roles: Roles | None = (True, True)) -> ScriptedModality:
        made = ScriptedModality(name, roles)
        made.port = self.ports[name]
        return made


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("modalities")
    ports = {name: free_port() for name in ("CT01", "EARLY", "DCMJS", *ROLES)}
    address = {"host": "127.0.0.1"}
    router = RouterUnderTest(
        folder / "router",
        destinations=[{"name": "files", "folder": {"path": "out"}}],
        routes=[{"name": "all", "send_to": ["files"]}],
        sources=[
            {
                "name": name.lower(),
                "ae_title": name,
                "commitment": {
                    **address,
                    "port": port,
                    "within": "1h" if name == "EARLY" else "1s",
                },
            }
            for name, port in ports.items()
        ]
        # No address: they are told on associations that they open, or not at all.
        + [{"name": name.lower(), "ae_title": name} for name in ("PASSIVE", "DCMJS_STAYS")],
    )
    with ExitStack() as stack:
        capture = stack.enter_context(Capture(folder, [router.port, *ports.values()]))
        stack.enter_context(router)
        with OneByOne(router.port) as line:
            line.send_copies(slice_template(), KEPT)
        yield Scene(router, list(line.acknowledged), ports, capture)


def heard(modality: ScriptedModality, count: int = 1) -> Transaction:
    """The last of so many reports."""
    wait_until(lambda: modality.answers >= count, "a report", 15)
    assert len(modality.heard) == count
    return modality.heard[-1]


@pytest.mark.parametrize("roles", [None, (True, False), (True, True)])
def test_who_stays_has_its_report_where_it_asked(scene: Scene, roles: Roles | None) -> None:
    with ScriptedModality("PASSIVE") as modality:
        association = modality.associate(scene.router.port, roles)
        transaction = new_transaction()
        assert say(association, request_of(transaction, scene.uids)) == SUCCESS
        told = heard(modality)
        association.release()
    assert modality.here == [told]
    assert (told.uid, told.event_type) == (transaction, 1)
    assert told.references.keys() == set(scene.uids)


@pytest.mark.parametrize("name", ROLES)
def test_who_hangs_up_is_called_and_told_what_is_kept_and_what_is_not(
    scene: Scene, name: str
) -> None:
    with scene.modality(name, ROLES[name]) as modality:
        transaction = modality.ask(scene.router.port, [*scene.uids, "2.25.404"])
        told = heard(modality)
    assert modality.here == []
    assert (told.uid, told.event_type) == (transaction, 2)
    assert told.references.keys() == set(scene.uids)
    assert told.failures == {"2.25.404": NO_SUCH_INSTANCE}


def test_who_has_no_address_is_told_when_it_comes_again(scene: Scene) -> None:
    with ScriptedModality("PASSIVE") as modality:
        transaction = modality.ask(scene.router.port, scene.uids)
        assert modality.heard == []
        association = modality.associate(scene.router.port)
        told = heard(modality)
        association.release()
    assert (told.uid, told.event_type) == (transaction, 1)
    assert modality.here == [told]


def test_who_asks_twice_over_one_association_is_told_of_each_once(scene: Scene) -> None:
    with scene.modality("CT01") as modality:
        association = modality.associate(scene.router.port)
        asked = {new_transaction(): uid for uid in scene.uids}
        for transaction, uid in asked.items():
            assert say(association, request_of(transaction, [uid])) == SUCCESS
        heard(modality, len(asked))
        association.release()
    assert {one.uid: list(one.references) for one in modality.heard} == {
        transaction: [uid] for transaction, uid in asked.items()
    }


def test_who_asks_before_it_sends_is_answered_when_it_has(scene: Scene) -> None:
    uid = new_uid()
    with scene.modality("EARLY") as modality, OneByOne(scene.router.port) as line:
        modality.ask(scene.router.port, [uid])
        assert line.send(instance(slice_template(), uid), uid) == SUCCESS
        told = heard(modality)
    assert (told.event_type, set(told.references)) == (1, {uid})


def test_who_aborts_after_the_response_is_called(scene: Scene) -> None:
    with scene.modality("CT01") as modality:
        association = modality.associate(scene.router.port)
        assert say(association, request_of(new_transaction(), scene.uids)) == SUCCESS
        association.abort()
        assert set(heard(modality).references) == set(scene.uids)
    assert modality.here == []


def test_who_refuses_a_report_has_it_again_in_the_same_words(scene: Scene) -> None:
    with scene.modality("CT01") as modality:
        modality.answering = [PROCESSING_FAILURE]
        transaction = modality.ask(scene.router.port, scene.uids)
        wait_until(lambda: len(modality.heard) == 1, "the report")
        order = f"WHERE transaction_uid = '{transaction}'"
        refused = f"SELECT count(*) FROM commitment_orders {order} AND attempts = 1"
        wait_until(lambda: scene.router.count(refused) == 1, "its refusal")
        scene.router.change(f"UPDATE commitment_orders SET next_attempt_at = 0 {order}")
        again = heard(modality, 2)
    assert modality.heard[0] == again


def test_who_asks_twice_is_told_twice_and_a_transaction_is_not_used_for_two(scene: Scene) -> None:
    with scene.modality("CT01") as modality:
        transaction = modality.ask(scene.router.port, scene.uids)
        heard(modality)
        modality.ask(scene.router.port, scene.uids, transaction)
        assert heard(modality, 2) == modality.heard[0]
        association = modality.associate(scene.router.port)
        assert say(association, request_of(transaction, scene.uids[:1])) == INVALID_ARGUMENT
        association.release()


def test_what_is_no_request_is_refused_and_the_association_lives(scene: Scene) -> None:
    with scene.modality("CT01") as modality:
        association = modality.associate(scene.router.port)
        good = request_of(new_transaction(), scene.uids)
        unnamed, empty = Dataset(), Dataset()
        unnamed.ReferencedSOPSequence = good.ReferencedSOPSequence
        empty.TransactionUID = new_transaction()
        assert say(association, good, action=2) == NO_SUCH_ACTION
        assert say(association, good, instance="1.2.3") == NO_SUCH_INSTANCE
        for nonsense in (unnamed, empty, None):
            assert say(association, nonsense) == INVALID_ARGUMENT
        assert say(association, good) == SUCCESS
        heard(modality)
        association.release()


@pytest.mark.parametrize(
    ("title", "linger", "way"), [("DCMJS_STAYS", 2000, "same"), ("DCMJS", 0, "own")]
)
def test_dcmjs_dimse_asks_and_is_told(
    scene: Scene, tmp_path: Path, title: str, linger: int, way: str
) -> None:
    if not DCMJS.is_dir():
        raise missing("dcmjs-dimse is not installed (scripts/install_peers.sh installs it)")
    transaction = new_transaction()
    place = [str(scene.router.port), str(scene.ports["DCMJS"]), str(linger), title]
    program = Program(
        [needed("node"), HERE / "dcmjs" / "modality.js", *place, transaction, *scene.uids],
        tmp_path / "log.txt",
        {"NODE_PATH": str(DCMJS)},
    )
    try:
        assert program.process.wait(30) == 0, program.output()
    finally:
        program.stop()
    lines = [json.loads(one) for one in program.output().splitlines() if one.startswith("{")]
    assert {"status": SUCCESS} in lines
    (told,) = (one for one in lines if "way" in one)
    assert (told["way"], told["event"], told["transaction"]) == (way, 1, transaction)
    assert set(told["kept"]) == set(scene.uids)
    assert told["failed"] == {}


def test_nothing_that_was_said_is_malformed(scene: Scene) -> None:
    """The last one: it ends the capture."""
    scene.capture.stop()
    frames = scene.capture.frames()
    assert {frame.target for frame in frames} >= {scene.router.port, *scene.ports.values()}
    complaints = {word for frame in frames for word in frame.complaints}
    assert complaints <= {"Association aborted"}

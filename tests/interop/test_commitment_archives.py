"""One router asks archives with every habit that was seen to commit, all at once: pynetdicom's
(`commitment_habits`) and dcmjs-dimse's. Then tshark's opinion of all that was said."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.modality import slice_template
from tests.faults.one_by_one import OneByOne, instance, new_uid
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop.capture import Capture, Frame
from tests.interop.commitment_habits import CASES, QUICK, STATUSES
from tests.interop.receivers import DCMJS, HERE
from tests.interop.scripted_archive import ScriptedArchive
from tests.programs import Program, free_port, missing, needed, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

OBJECTS = 3
REASONS = {
    0x0110: ("committed", None),
    0x0112: ("committed", None),
    0x0119: ("held", "not_committed_class_conflict"),
    0x0122: ("held", "not_committed_class_refused"),
    0x0131: ("committed", None),
    0x0213: ("committed", None),
    0x4242: ("committed", None),
}
"""Failure reasons, each given once for an object of its own, and the end of its delivery."""
SENT_AGAIN = 0x0112
WAYS = ("same", "own")
"""Where dcmjs-dimse reports: on the association of the request, or on one that it opens."""
HELD = [reason for reason, (state, _) in REASONS.items() if state == "held"]
SUCCESS, NO_SUCH_INSTANCE, NO_SUCH_EVENT, INVALID_ARGUMENT = 0x0000, 0x0112, 0x0113, 0x0115


class Scene:
    """The archives, the router, and what came of it."""

    def __init__(
        self,
        router: RouterUnderTest,
        archives: dict[str, ScriptedArchive],
        dcmjs: dict[str, Program],
    ) -> None:
        self.router = router
        self.archives = archives
        self.dcmjs = dcmjs
        self.uids: list[str] = []
        """Of the objects that every archive but `failing` has."""
        self.by_reason: dict[int, str] = {}
        self.frames: list[Frame] = []

    def states(self, name: str) -> dict[object, tuple[object, object]]:
        """State and reason of each delivery to this archive, by SOP instance UID."""
        rows = self.router.ask(
            "SELECT o.sop_instance_uid, d.state, d.reason FROM deliveries d "
            "JOIN objects o ON o.id = d.object_id WHERE d.destination = ?",
            name,
        )
        return {uid: (state, reason) for uid, state, reason in rows}

    def committed(self, name: str) -> ScriptedArchive:
        """The archive, which has committed all that it was sent."""
        assert self.states(name) == self.all_committed
        return self.archives[name]

    @property
    def all_committed(self) -> dict[object, tuple[object, object]]:
        return dict.fromkeys(self.uids, ("committed", None))

    def play(self) -> None:
        """Send, let time pass where it would take minutes, and wait until nothing is open."""
        template = slice_template()
        with OneByOne(self.router.port, title="FAILING") as line:
            self.by_reason = {reason: new_uid() for reason in REASONS}
            for reason, uid in self.by_reason.items():
                self.archives["failing"].failing[uid] = [reason]
                assert line.send(instance(template, uid), uid) == SUCCESS
        with OneByOne(self.router.port) as line:
            line.send_copies(template, OBJECTS)
            self.uids = list(line.acknowledged)
        for name in ("aborting", "hanging_up"):
            wait_until(lambda name=name: self._asked_again(name), f"{name} to be asked anew")  # type: ignore[misc]
        wait_until(lambda: self.router.count(OPEN) == 0, "everything to end", 90)

    def _asked_again(self, name: str) -> bool:
        """Whether it was; its time is up, and so is the pause after a failed association."""
        archive = self.archives[name]
        if len(archive.asked) == 1:
            request = f"WHERE transaction_uid = '{archive.asked[0].uid}'"
            self.router.change(f"UPDATE commitment_requests SET answer_by = 0 {request}")
            self.router.change(f"UPDATE leaders SET lease_until = 0 WHERE name = 'c:{name}'")
        return len(archive.asked) > 1


OPEN = (
    "SELECT (SELECT count(*) FROM objects WHERE state = 'received') + "
    "(SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'leased')) + "
    "(SELECT count(*) FROM commitments WHERE state IN ('due', 'requested', 'check')) + "
    "(SELECT count(*) FROM commitment_requests WHERE state = 'open')"
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("archives")
    archives = {
        name: ScriptedArchive(case.habit, name.upper()[:16], case.roles)
        for name, case in CASES.items()
    }
    ports = {name: one.port for name, one in archives.items()}
    ports |= {f"dcmjs_{way}": free_port() for way in WAYS}
    router = RouterUnderTest(
        folder / "router",
        destinations=[_destination(name, port) for name, port in ports.items()],
        routes=[
            {
                "name": "failing",
                "when": {"source.calling_ae_title": "FAILING"},
                "send_to": ["failing"],
                "stop": True,
            },
            {"name": "all", "send_to": [name for name in ports if name != "failing"]},
        ],
    )
    made = Scene(router, archives, {})
    with ExitStack() as stack:
        capture = stack.enter_context(Capture(folder, [router.port, *ports.values()]))
        for archive in archives.values():
            archive.call_back_port = router.port
            stack.enter_context(archive)
        for way in WAYS:
            program = _dcmjs(folder, ports[f"dcmjs_{way}"], router.port, way)
            made.dcmjs[way] = program
            stack.callback(program.stop)
        stack.enter_context(router)
        made.play()
    made.frames = capture.frames()
    return made


def _destination(name: str, port: int) -> dict[str, object]:
    settings = CASES[name].settings if name in CASES else QUICK
    return {**dicom(name, port, associations=1, idle="500ms"), "commitment": settings}


def _dcmjs(folder: Path, port: int, router_port: int, way: str) -> Program:
    """An archive made with dcmjs-dimse."""
    if not DCMJS.is_dir():
        raise missing("dcmjs-dimse is not installed (scripts/install_peers.sh installs it)")
    program = Program(
        [needed("node"), HERE / "dcmjs" / "archive.js", str(port), str(router_port), way],
        folder / f"dcmjs_{way}.log",
        {"NODE_PATH": str(DCMJS)},
    )
    program.wait_for_port(port)
    return program


@pytest.mark.parametrize(
    "name", ["after_the_response", "before_the_response", "own_after", "own_before", "no_roles"]
)
def test_a_report_is_taken_whichever_way_it_comes(scene: Scene, name: str) -> None:
    archive = scene.committed(name)
    assert archive.answers == [SUCCESS] * len(archive.asked)
    assert sorted(uid for one in archive.asked for uid in one.references) == sorted(scene.uids)


@pytest.mark.parametrize(
    ("name", "granted"),
    [
        ("own_after", (False, True)),
        ("own_both_roles", (True, True)),
        ("own_no_roles", (True, False)),
    ],
)
def test_who_reports_on_its_own_association_has_the_roles_it_asks_for(
    scene: Scene, name: str, granted: tuple[bool, bool]
) -> None:
    """And who says nothing of roles, as some do, reports all the same."""
    archive = scene.committed(name)
    assert set(archive.granted) == {granted}
    assert set(archive.answers) == {SUCCESS}


def test_a_report_may_come_on_a_later_association(scene: Scene) -> None:
    archive = scene.committed("later")
    assert len(archive.asked) > 1
    assert set(archive.answers) == {SUCCESS}


def test_reports_that_come_twice_are_answered_and_change_nothing(scene: Scene) -> None:
    archive = scene.committed("twice")
    assert archive.answers == [SUCCESS] * 3 * len(archive.asked)


def test_strange_transactions_are_refused_and_strange_instances_ignored(scene: Scene) -> None:
    archive = scene.committed("strangers")
    said = [INVALID_ARGUMENT, SUCCESS, SUCCESS]
    assert archive.answers == said * len(archive.asked)


def test_one_report_for_each_image(scene: Scene) -> None:
    archive = scene.committed("one_by_one")
    assert archive.answers == [SUCCESS] * OBJECTS


def test_what_a_report_leaves_out_is_asked_for_anew(scene: Scene) -> None:
    archive = scene.committed("in_part")
    left_out = [one.references.keys() for one in archive.asked]
    assert set().union(*left_out[1:]) == set(scene.uids) - {next(iter(archive.asked[0].references))}


def test_who_never_answers_is_asked_anew_and_then_a_person_is(scene: Scene) -> None:
    archive = scene.archives["never"]
    assert scene.states("never") == dict.fromkeys(scene.uids, ("held", "not_committed_no_answer"))
    asked = [uid for one in archive.asked for uid in one.references]
    assert sorted(asked) == sorted(2 * scene.uids)


def test_events_that_there_are_not_change_nothing_and_the_wrong_one_counts(scene: Scene) -> None:
    archive = scene.committed("another_event")
    assert archive.answers == [NO_SUCH_EVENT, SUCCESS] * len(archive.asked)


def test_failures_count_under_the_event_that_says_there_are_none(scene: Scene) -> None:
    archive = scene.committed("failures")
    refused = next(iter(archive.asked[0].references))
    assert sorted(archive.stored) == sorted([*scene.uids, refused])


def test_reports_that_lack_something_change_nothing_unless_it_can_be_done_without(
    scene: Scene,
) -> None:
    archive = scene.committed("lacking")
    said = [INVALID_ARGUMENT, SUCCESS, INVALID_ARGUMENT, SUCCESS]
    assert archive.answers == said * len(archive.asked)


def test_a_failure_without_a_reason_is_asked_for_again(scene: Scene) -> None:
    archive = scene.committed("no_reason")
    assert sorted(archive.stored) == sorted(scene.uids)
    assert len(archive.asked) > 1


def test_reports_about_another_sop_instance_are_refused(scene: Scene) -> None:
    archive = scene.committed("another_instance")
    assert archive.answers == [NO_SUCH_INSTANCE, SUCCESS] * len(archive.asked)


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: f"{reason:04X}")
def test_each_failure_reason_has_its_action(scene: Scene, reason: int) -> None:
    archive, uid = scene.archives["failing"], scene.by_reason[reason]
    assert scene.states("failing")[uid] == REASONS[reason]
    transactions = [one.uid for one in archive.asked if uid in one.references]
    assert len(set(transactions)) == len(transactions) == (1 if reason in HELD else 2)
    assert archive.stored.count(uid) == (2 if reason == SENT_AGAIN else 1)


@pytest.mark.parametrize("name", STATUSES)
def test_a_request_that_is_refused_is_dead_and_another_one_asks(scene: Scene, name: str) -> None:
    archive = scene.committed(name)
    assert len(archive.asked) > len(STATUSES[name])
    assert len({one.uid for one in archive.asked}) == len(archive.asked)
    assert sorted(archive.stored) == sorted(scene.uids)


@pytest.mark.parametrize("name", ["aborting", "hanging_up", "aborting_after", "leaving"])
def test_who_ends_the_association_in_the_middle_is_asked_anew(scene: Scene, name: str) -> None:
    archive = scene.committed(name)
    assert len({one.uid for one in archive.asked}) == len(archive.asked)
    assert sorted(archive.stored) == sorted(scene.uids)


@pytest.mark.parametrize("way", WAYS)
def test_dcmjs_dimse_commits(scene: Scene, way: str) -> None:
    assert scene.states(f"dcmjs_{way}") == scene.all_committed
    told = scene.dcmjs[way].output()
    assert '{"answered":0}' in told
    assert "error" not in told


def test_every_request_has_ended(scene: Scene) -> None:
    assert scene.router.count(OPEN) == 0


def test_nothing_that_was_said_is_malformed(scene: Scene) -> None:
    heard = {frame.target for frame in scene.frames}
    assert heard >= {scene.router.port, *(one.port for one in scene.archives.values())}
    complaints = {word for frame in scene.frames for word in frame.complaints}
    assert complaints <= {"Association aborted"}

"""A router that is killed while an archive and a modality speak with it of commitment, and what
must have come of it in the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from router.commitment.calling import call
from router.commitment.data_sets import TRANSFER_SYNTAXES
from router.dicom.commands import NEventReportRq
from router.dicom.uids import STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
from router.net.errors import NetError
from tests.faults.modality import slice_template
from tests.faults.router_under_test import Cluster, RouterUnderTest, dicom, pause
from tests.programs import wait_until
from tests.router.commitment import archive as habits
from tests.router.commitment.archive import PUSH, Archive, Talk

QUICK = {"age": "50ms", "wait": "100ms", "listen": "500ms", "within": "2s"}
PATIENT = {"attempts": 50, "refusals": 50}
"""An archive that refuses at random would otherwise refuse some object three times: it is held."""
TEMPLATE = slice_template()
QUIET_SECONDS = 3
"""How long nobody may be asked for anything once all is over: more than `within`."""


def site(
    folder: Path, modality: Archive, pacs: Archive, cluster: Cluster | None = None
) -> RouterUnderTest:
    """A router whose promise to the modality rests on the archive's word."""
    router = RouterUnderTest(
        folder,
        destinations=[{**dicom("pacs", pacs.port), "commitment": QUICK | PATIENT}],
        routes=[{"name": "all", "send_to": ["pacs"]}],
        sources=[
            {
                "name": "here",
                "hosts": ["127.0.0.0/8"],
                "commitment": {"host": "127.0.0.1", "port": modality.port, "policy": "all"},
            }
        ],
        cluster=cluster,
    )
    pacs.call_back_port = router.port
    return router


class Bell:
    """Rings once, when the peer has come to a step; somebody dies there."""

    def __init__(self) -> None:
        self.rung = threading.Event()
        self.dead = threading.Event()

    def reached(self) -> None:
        """Wait there until they are dead, the first time."""
        if not self.rung.is_set():
            self.rung.set()
            assert self.dead.wait(60)


Step = Callable[[Bell, Archive, Archive], None]
"""Makes an archive or a modality ring at a step of the conversation."""


def _at(habit: Callable[[Bell, Talk], None]) -> Step:
    def step(bell: Bell, pacs: Archive, _modality: Archive) -> None:
        pacs.habit = lambda talk: habit(bell, talk)

    step.__name__ = habit.__name__
    return step


@_at
def asked(bell: Bell, talk: Talk) -> None:
    """The archive has the request."""
    bell.reached()
    habits.on_the_same_association(talk)


@_at
def responded(bell: Bell, talk: Talk) -> None:
    """It has responded."""
    talk.respond()
    bell.reached()
    talk.report()


@_at
def reported(bell: Bell, talk: Talk) -> None:
    """It has reported."""
    talk.respond()
    talk.say()
    bell.reached()


@_at
def called(bell: Bell, talk: Talk) -> None:
    """It has reported on an association of its own, and does not call a second time."""
    talk.respond()
    if bell.rung.is_set():
        talk.report()
    else:
        threading.Thread(target=_call, args=(bell, talk), daemon=True).start()


def _call(bell: Bell, talk: Talk) -> None:
    peer = talk.archive.router_to_call()
    association = call(peer, PUSH, TRANSFER_SYNTAXES, scp_role=True)
    (context,) = association.contexts.values()
    kind, data = talk.archive.report_on(talk.asked, context.transfer_syntax)
    report = NEventReportRq(
        message_id=1,
        affected_sop_class_uid=PUSH,
        affected_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        event_type_id=kind,
    )
    association._send(context.context_id, report, data)  # `report` would wait for the answer
    bell.reached()
    association.abort()


def calling_once(talk: Talk) -> None:
    """Reports on an association of its own, if there is anybody to report to."""

    def call_back() -> None:
        with contextlib.suppress(NetError):
            talk.call_back()

    talk.respond()
    threading.Thread(target=call_back, daemon=True).start()


HABITS = (habits.on_the_same_association, habits.before_the_response, calling_once, habits.never)
"""What an archive may do while things die at random."""


def told(bell: Bell, pacs: Archive, modality: Archive) -> None:
    """The modality has its report, and has not answered."""
    pacs.habit = habits.on_the_same_association
    modality.before_answer = bell.reached


STEPS: tuple[Step, ...] = (asked, responded, reported, called, told)


def check(router: RouterUnderTest, pacs: Archive, wanted: Mapping[str, set[str]]) -> None:
    """Everything ends, within two minutes, and nothing is asked for any more."""
    unproven = "SELECT count(*) FROM deliveries WHERE state <> 'committed'"
    stuck = "SELECT count(*) FROM deliveries WHERE state IN ('held', 'failed', 'cancelled')"

    def committed() -> bool:
        assert router.count(stuck) == 0
        return router.count(unproven) == 0

    wait_until(committed, "every delivery to be committed", 120)
    unreported = "SELECT count(*) FROM commitment_orders WHERE state <> 'reported'"
    wait_until(lambda: router.count(unreported) == 0, "every order to be reported", 120)
    still_open = "SELECT count(*) FROM commitment_requests WHERE state = 'open'"
    wait_until(lambda: router.count(still_open) == 0, "every request to end", 60)
    assert router.count("SELECT count(*) FROM commitment_orders") == len(wanted)
    requests = len(pacs.asked)
    pause(QUIET_SECONDS)
    assert len(pacs.asked) == requests


def check_answers(modality: Archive, pacs: Archive, wanted: Mapping[str, set[str]]) -> int:
    """Each order was answered, always in the same words, and truly when it was; how many answers
    came once more, because who gave them died before it was written down."""
    told: dict[str, set[frozenset[str]]] = {}
    for (event, report), at in zip(modality.heard, modality.heard_at, strict=True):
        assert event == 1
        assert not report.failures
        assert all(pacs.promised[uid] <= at for uid in report.references)
        told.setdefault(report.uid, set()).add(frozenset(report.references))
    assert told == {uid: {frozenset(uids)} for uid, uids in wanted.items()}
    return len(modality.heard) - len(wanted)

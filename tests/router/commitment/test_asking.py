"""Asking a destination to commit, against an archive with every habit that was seen."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from router.commitment.asking import PUSH, Asking, ask
from router.commitment.serving import CommitmentScp
from router.commitment.unanswered import expire
from router.conduct.commitment import ring_for_reports
from router.config import (
    Destination,
    DestinationCommitment,
    DicomDestination,
    Listener,
    Site,
)
from router.dicom.commands import NActionRq
from router.dicom.events import AssociationRequested, CommandReceived, Event, ReleaseRequested
from router.dicom.negotiation import negotiate
from router.ingress.acceptance import acceptance_for
from router.ledger import DeliveryState, Ledger, commitments, objects, unproven
from router.ledger.commitments import ToCommit
from router.ledger.models import LEADERS
from router.ledger.models_commitment import COMMITMENT_REQUESTS
from router.net.acceptor import Acceptor
from router.net.connection import Connection
from router.net.services import Visitor, data_set_of
from router.tickets import CommitmentTicket
from tests.contracts.conftest import Story
from tests.programs import wait_until
from tests.router.commitment import archive as habits
from tests.router.commitment.archive import Archive, Talk

NO_SUCH_INSTANCE, RESOURCES, CLASS_CONFLICT = 0x0112, 0x0213, 0x0119


class Surroundings:
    """A ledger, a destination, and a listener that takes reports."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()
        self.story = Story(self.ledger)
        self.settings = DestinationCommitment(age=0, wait=0.001, listen=5, within=3600)
        self.site = Site(listeners=(Listener(name="main", ae_title="ROUTER"),))
        scp = CommitmentScp(ledger=self.ledger, site=lambda: self.site, terms=self.terms)

        def serve(connection: Connection) -> None:
            event = connection.next_event()
            assert isinstance(event, AssociationRequested)
            acceptance = acceptance_for(self.site.listeners[0], {PUSH})
            connection.association.accept(negotiate(event.request, acceptance))
            calling = event.request.calling_ae_title.strip()
            visitor = Visitor(calling_ae_title=calling, called_ae_title="ROUTER", source=None)
            early: Event | None = None
            for context in connection.association.contexts.values():
                early = scp.opened(connection, context, visitor)
            while True:
                match early or connection.next_event():
                    case CommandReceived() as event:
                        context = connection.association.contexts[event.context_id]
                        data = data_set_of(connection, event)
                        early = scp(connection, context, visitor, event.command, data or b"")
                    case ReleaseRequested():
                        early = None
                        connection.association.release_response()
                    case _:
                        return

        self.listener = Acceptor(host="127.0.0.1", port=0, serve=serve)

    def terms(self, name: str) -> DestinationCommitment:
        return self.settings

    def deliver(self, count: int = 1) -> list[str]:
        ids = self.story.owe("pacs", count=count)
        how = ToCommit(by_query=self.settings.by == "query", age_ms=0)
        self.story.end(self.story.lease("pacs", limit=1000), to_commit=how)
        return ids

    def destination(self, port: int) -> Destination:
        return Destination(
            name="pacs",
            dicom=DicomDestination(ae_title="PACS", host="127.0.0.1", port=port),
            commitment=self.settings,
        )

    def ask(self, port: int) -> bool:
        return ask(
            self.destination(port), Asking(ledger=self.ledger, terms=self.terms, owner="asker")
        )

    def states(self, ids: list[str]) -> list[str]:
        return [self.story.state_of(one, "pacs").value for one in ids]

    def uid(self, object_id: str) -> str:
        return self.story.stored(object_id).sop_instance_uid

    def reason(self, object_id: str) -> str | None:
        (told,) = self.story.told(object_id).deliveries
        return told.delivery.reason

    def expire_all(self) -> None:
        """Everybody's time is up."""
        with self.ledger.write() as connection:
            connection.execute(update(COMMITMENT_REQUESTS).values(answer_by=0))
        expire(self.ledger, self.terms)


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(tmp_path)
    made.listener.start()
    yield made
    made.listener.close()
    made.ledger.dispose()


@pytest.mark.parametrize(
    "habit",
    [
        habits.on_the_same_association,
        habits.before_the_response,
        habits.on_its_own_association,
        habits.on_its_own_before_the_response,
    ],
    ids=lambda habit: habit.__name__,
)
def test_a_report_is_taken_whichever_way_it_comes(
    around: Surroundings, habit: habits.Habit
) -> None:
    ids = around.deliver(3)
    around.settings = around.settings.model_copy(update={"listen": 1})
    with Archive(habit, call_back_port=around.listener.port) as archive:
        around.ask(archive.port)
        wait_until(lambda: around.states(ids) == ["committed"] * 3, "the report")
        assert len(archive.asked) == 1
        assert archive.asked[0].references.keys() == {around.uid(one) for one in ids}
        assert archive.statuses == [0]
    with around.ledger.read() as connection:
        assert len(objects.forgettable(connection, retention_ms=-1000, limit=9)) == 3


def test_a_report_that_crosses_our_release_is_heard(around: Surroundings) -> None:
    (one,) = around.deliver()

    def late(talk: Talk) -> None:
        talk.respond()
        event = talk.connection.next_event(limit=10)
        assert isinstance(event, ReleaseRequested)
        talk.say()
        talk.connection.association.release_response()

    around.settings = around.settings.model_copy(update={"listen": 0})
    with Archive(late) as archive:
        around.ask(archive.port)
    assert around.states([one]) == ["committed"]


def test_requests_are_as_large_as_the_site_says(around: Surroundings) -> None:
    around.settings = around.settings.model_copy(update={"size": 2})
    ids = around.deliver(5)
    with Archive() as archive:
        around.ask(archive.port)
        assert [len(one.references) for one in archive.asked] == [2, 2, 1]
        assert len({one.uid for one in archive.asked}) == 3
    assert around.states(ids) == ["committed"] * 5


def test_a_peer_that_is_about_to_report_is_not_asked_for_more(around: Surroundings) -> None:
    around.settings = around.settings.model_copy(update={"size": 2})
    ids = around.deliver(5)
    with Archive() as archive:
        around.ask(archive.port)
        assert archive.crossed == 0
    assert around.states(ids) == ["committed"] * 5


def test_a_peer_that_reports_another_way_is_not_waited_for(around: Surroundings) -> None:
    around.settings = around.settings.model_copy(update={"size": 1, "listen": 60})
    ids = around.deliver(2)
    with Archive(habits.on_its_own_association, call_back_port=around.listener.port) as archive:
        around.ask(archive.port)
        assert len(archive.asked) == 2
    assert around.states(ids) == ["committed"] * 2


def test_an_instance_stands_in_a_request_once(around: Surroundings) -> None:
    (first,) = around.deliver()
    (second,) = around.story.receive(sop_instance_uid=around.uid(first))
    around.story.record(around.story.route(second, "pacs"))
    around.story.end(around.story.lease("pacs"), to_commit=ToCommit(by_query=False, age_ms=0))
    with Archive() as archive:
        around.ask(archive.port)
        assert len(archive.asked[0].references) == 1
    assert around.states([first, second]) == ["committed"] * 2


def test_what_the_peer_lacks_is_sent_again_and_asked_for_anew(around: Surroundings) -> None:
    lost, kept = around.deliver(2)
    with Archive(failing={around.uid(lost): NO_SUCH_INSTANCE}) as archive:
        around.ask(archive.port)
        assert around.states([lost, kept]) == ["waiting", "committed"]
        around.story.end(around.story.lease("pacs"), to_commit=ToCommit(by_query=False, age_ms=0))
        around.ask(archive.port)
        assert around.states([lost]) == ["committed"]
        assert archive.asked[0].uid != archive.asked[1].uid


def test_what_is_refused_for_now_is_asked_for_again_until_it_was_too_often(
    around: Surroundings,
) -> None:
    (one,) = around.deliver()

    def always(talk: Talk) -> None:
        talk.archive.failing[around.uid(one)] = RESOURCES
        habits.on_the_same_association(talk)

    around.settings = around.settings.model_copy(update={"wait": 0.001, "listen": 0.2})
    with Archive(always) as archive:
        for _ in range(4):
            around.ask(archive.port)
        assert len(archive.asked) == 3
    assert around.states([one]) == ["held"]
    assert around.reason(one) == "not_committed_resources"


def test_a_permanent_refusal_is_held_at_once(around: Surroundings) -> None:
    (one,) = around.deliver()
    with Archive(failing={around.uid(one): CLASS_CONFLICT}) as archive:
        around.ask(archive.port)
    assert around.states([one]) == ["held"]


def test_a_site_may_say_what_a_reason_means(around: Surroundings) -> None:
    (one,) = around.deliver()
    around.settings = around.settings.model_copy(update={"reasons": {CLASS_CONFLICT: "send again"}})
    with Archive(failing={around.uid(one): CLASS_CONFLICT}) as archive:
        around.ask(archive.port)
    assert around.states([one]) == ["waiting"]


def test_failures_count_whatever_the_event_type_says(around: Surroundings) -> None:
    lost, kept = around.deliver(2)

    def wrong(talk: Talk) -> None:
        talk.respond()
        talk.report(event_type=1)

    with Archive(wrong, failing={around.uid(lost): NO_SUCH_INSTANCE}) as archive:
        around.ask(archive.port)
    assert around.states([lost, kept]) == ["waiting", "committed"]


def test_one_report_for_each_image_and_what_is_left_out_stays_requested(
    around: Surroundings,
) -> None:
    ids = around.deliver(3)
    uids = [around.uid(one) for one in ids]

    def each(talk: Talk) -> None:
        talk.respond()
        for uid in uids[:2]:
            talk.report(only=uid)

    around.settings = around.settings.model_copy(update={"listen": 0.5})
    with Archive(each, call_back_port=around.listener.port) as archive:
        around.ask(archive.port)
        assert around.states(ids) == ["committed", "committed", "delivered"]
        archive.call_back(archive.asked[0], only=uids[2])
        assert around.states(ids) == ["committed"] * 3


def test_duplicates_strangers_and_nonsense_change_nothing(around: Surroundings) -> None:
    (one,) = around.deliver()

    def odd(talk: Talk) -> None:
        talk.respond()
        talk.report(uid="2.25.404")
        talk.report(extra="2.25.405")
        talk.report()
        talk.report(event_type=9)

    with Archive(odd) as archive:
        around.ask(archive.port)
        wait_until(lambda: len(archive.statuses) == 4, "all reports")
        assert archive.statuses == [0x0115, 0, 0, 0x0113]
    assert around.states([one]) == ["committed"]


def test_a_request_that_is_refused_is_asked_anew_and_given_up(around: Surroundings) -> None:
    (one,) = around.deliver()
    around.settings = around.settings.model_copy(update={"listen": 0})
    with Archive(lambda talk: talk.respond(0x0110)) as archive:
        for _ in range(5):
            around.ask(archive.port)
        assert len({asked.uid for asked in archive.asked}) == len(archive.asked) == 3
    assert around.states([one]) == ["held"]
    assert around.reason(one) == "not_committed_no_answer"


def test_who_never_answers_is_asked_anew_and_a_late_answer_still_counts(
    around: Surroundings,
) -> None:
    around.settings = around.settings.model_copy(update={"listen": 0})
    ids = around.deliver(2)
    with Archive(habits.never, call_back_port=around.listener.port) as archive:
        for _ in range(3):
            around.ask(archive.port)
            around.expire_all()
        assert len(archive.asked) == 3
        assert around.states(ids) == ["held"] * 2
        archive.call_back(archive.asked[0])
        assert around.states(ids) == ["committed"] * 2
        around.ask(archive.port)
        assert len(archive.asked) == 3


def test_who_reports_on_our_associations_alone_is_called(around: Surroundings) -> None:
    around.settings = around.settings.model_copy(update={"listen": 0, "call": 0.001})
    ids = around.deliver(2)
    called = []

    def greeting(connection: Connection) -> None:
        called.append(connection)
        for asked in archive.asked:
            (context,) = connection.association.contexts.values()
            rq = NActionRq(
                message_id=1,
                requested_sop_class_uid=PUSH,
                requested_sop_instance_uid="",
                action_type_id=1,
            )
            Talk(
                archive, connection, context.context_id, context.transfer_syntax, rq, asked
            ).report()

    with Archive(habits.never) as archive:
        around.ask(archive.port)  # once to ask, and once to hear, which was too early
        assert around.states(ids) == ["delivered"] * 2
        with around.ledger.write() as connection:
            connection.execute(update(LEADERS).values(lease_until=0))
        around.settings = around.settings.model_copy(update={"listen": 2})
        assert rung(around, archive.port) == [CommitmentTicket(destination="pacs")]
        archive.greeting = greeting
        around.ask(archive.port)
        assert around.states(ids) == ["committed"] * 2
        assert rung(around, archive.port) == []
        around.ask(archive.port)
        assert len(called) == len(archive.asked) == 1


def rung(around: Surroundings, port: int) -> list[CommitmentTicket]:
    """Whom the conductor rings for, to hear what they owe."""
    found: list[CommitmentTicket] = []
    bell: Any = SimpleNamespace(publish=found.append)
    site = around.site.model_copy(update={"destinations": (around.destination(port),)})
    ring_for_reports(around.ledger, bell, site)
    return found


def test_who_never_answers_may_be_queried_instead(around: Surroundings) -> None:
    around.settings = around.settings.model_copy(
        update={"listen": 0, "attempts": 1, "fall_back": "query"}
    )
    (one,) = around.deliver()
    with Archive(habits.never) as archive:
        around.ask(archive.port)
    around.expire_all()
    with around.ledger.write() as connection:
        assert len(commitments.to_check(connection, "pacs", size=9)) == 1
    assert around.states([one]) == ["delivered"]


def test_who_hangs_up_is_left_alone_and_asked_anew(around: Surroundings) -> None:
    (one,) = around.deliver()
    with Archive(lambda talk: talk.connection.end()) as archive:
        around.ask(archive.port)
        around.ask(archive.port)  # its time has not come
        assert len(archive.asked) == 1
    assert around.states([one]) == ["delivered"]
    with around.ledger.read() as connection:
        assert unproven.pending(connection, "pacs") == 1


def test_a_peer_that_is_away_costs_no_request(around: Surroundings) -> None:
    (one,) = around.deliver()
    with Archive() as archive:
        port = archive.port
    around.ask(port)
    with around.ledger.read() as connection:
        assert commitments.is_due(connection, "pacs", size=500, age_ms=0)
    assert around.states([one]) == ["delivered"]


def test_two_askers_ask_once(around: Surroundings) -> None:
    around.deliver(4)
    around.settings = around.settings.model_copy(update={"listen": 0.3})
    with Archive(habits.never) as archive, contextlib.ExitStack() as threads:
        for _ in range(4):
            thread = threading.Thread(target=around.ask, args=(archive.port,))
            thread.start()
            threads.callback(thread.join)
        threads.close()
        assert len(archive.asked) == 1


def test_proof_that_is_no_longer_wanted_is_waived(around: Surroundings) -> None:
    (one,) = around.deliver()
    around.settings = around.settings.model_copy(update={"by": "none"})
    around.ask(1)
    with around.ledger.read() as connection:
        assert objects.forgettable(connection, retention_ms=-1000, limit=9) == [one]
    assert around.story.state_of(one, "pacs") is DeliveryState.DELIVERED

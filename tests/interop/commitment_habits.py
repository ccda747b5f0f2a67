"""What archives were seen to do when they are asked to commit, each as a script of pynetdicom's."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from tests.interop.scripted_archive import (
    CT,
    Habit,
    Roles,
    Talk,
    Transaction,
    only,
    report_of,
)

QUICK: dict[str, object] = {"age": "50ms", "wait": "100ms", "listen": "2s", "within": "15s"}
IMPATIENT = {**QUICK, "within": "1s"}
STATUSES = {
    "refusing_1": (0x0110, 0x0213, 0x0124),
    "refusing_2": (0x0112, 0x0119, 0x0122),
    "refusing_3": (0x0115, 0x0123, 0x0210),
    "refusing_4": (0x0211, 0x0212, 0xC001),
}
"""What archives answer a request with before they take one."""


# On which association, and when.


def after_the_response(talk: Talk) -> int:
    return talk.afterwards(talk.report)


def before_the_response(talk: Talk) -> int:
    talk.report()
    return 0


def own_after(talk: Talk) -> int:
    return talk.afterwards(talk.call_back)


def own_before(talk: Talk) -> int:
    talk.call_back()
    return 0


def own_both_roles(talk: Talk) -> int:
    return talk.afterwards(lambda: talk.call_back((True, True)))


def own_no_roles(talk: Talk) -> int:
    return talk.afterwards(lambda: talk.call_back(None))


def on_a_later_one(talk: Talk) -> int:
    """Reports on each request when the next one comes, and keeps the last to itself."""
    earlier = talk.archive.asked[:-1]
    return talk.afterwards(*(lambda one=one: talk.report(one) for one in earlier))


# How often, and on what.


def twice(talk: Talk) -> int:
    return talk.afterwards(talk.report, talk.report, talk.call_back)


def strangers(talk: Talk) -> int:
    """Reports on a transaction and on an instance that nobody asked for, then as it should."""
    unknown = Transaction(uid="2.25.404", references=talk.asked.references)
    strange = Transaction(uid=talk.asked.uid, references={"2.25.405": CT})
    return talk.afterwards(lambda: talk.report(unknown), lambda: talk.report(strange), talk.report)


def one_by_one(talk: Talk) -> int:
    images = [only(talk.asked, uid) for uid in talk.uids]
    return talk.afterwards(*(lambda one=one: talk.report(one) for one in images))


def in_part(talk: Talk) -> int:
    """The first report leaves some out."""
    some = only(talk.asked, talk.uids[0]) if talk.number == 1 else talk.asked
    return talk.afterwards(lambda: talk.report(some))


def never(talk: Talk) -> int:
    return 0


# In which words.


def another_event(talk: Talk) -> int:
    """An event that there is not; then all kept, under the event that says otherwise."""
    _, data = report_of(talk.asked, {})
    return talk.afterwards(lambda: talk.say(3, data), lambda: talk.say(2, data))


def failures_under_success(talk: Talk) -> int:
    if talk.number == 1:
        talk.archive.failing[talk.uids[0]] = [0x0112]
    _, data = report_of(talk.asked, talk.archive.failing)
    return talk.afterwards(lambda: talk.say(1, data))


def lacking(talk: Talk) -> int:
    """Reports without a transaction, without instances, without anything; then without classes."""
    _, whole = report_of(talk.asked, {})
    unnamed, empty = Dataset(), Dataset()
    unnamed.ReferencedSOPSequence = whole.ReferencedSOPSequence
    empty.TransactionUID = talk.asked.uid
    bare = Dataset()
    bare.TransactionUID = talk.asked.uid
    bare.ReferencedSOPSequence = [Dataset() for _ in talk.uids]
    for item, uid in zip(bare.ReferencedSOPSequence, talk.uids, strict=True):
        item.ReferencedSOPInstanceUID = uid
    said = (unnamed, empty, None, bare)
    return talk.afterwards(*(lambda data=data: talk.say(1, data) for data in said))


def no_reason(talk: Talk) -> int:
    """The first time, a list of failures that does not say why."""
    talk.archive.failing = {uid: [0x0112] for uid in talk.uids} if talk.number == 1 else {}
    kind, data = report_of(talk.asked, talk.archive.failing)
    for item in data.get("FailedSOPSequence") or []:
        del item.FailureReason
    return talk.afterwards(lambda: talk.say(kind, data))


def another_instance(talk: Talk) -> int:
    """Reports about another SOP instance than the well-known one, then as it should."""

    def odd() -> None:
        kind, data = report_of(talk.asked, {})
        talk.archive.report_on(talk.association, kind, data, instance="1.2.3")

    return talk.afterwards(odd, talk.report)


def failing(talk: Talk) -> int:
    return talk.afterwards(talk.report)


# What goes wrong between us.


def refusing(*statuses: int) -> Habit:
    def habit(talk: Talk) -> int:
        if talk.number <= len(statuses):
            return statuses[talk.number - 1]
        return talk.afterwards(talk.report)

    return habit


def aborting(talk: Talk) -> int:
    """Aborts when it has the first request."""
    if talk.number == 1:
        talk.association.abort()
    return talk.afterwards(talk.report)


def hanging_up(talk: Talk) -> int:
    """Closes the connection when it has the first request."""
    if talk.number == 1:
        transport = talk.association.dul.socket
        assert transport is not None
        transport.close()
    return talk.afterwards(talk.report)


def aborting_after(talk: Talk) -> int:
    """Aborts where its first report should come."""
    return talk.afterwards(talk.association.abort if talk.number == 1 else talk.report)


def reporting_and_aborting(talk: Talk) -> int:
    """Does not wait for the answer to its report."""

    def say_and_leave() -> None:
        kind, data = report_of(talk.asked, {})
        talk.archive.report_and_abort(talk.association, kind, data)

    return talk.afterwards(say_and_leave if talk.number == 1 else talk.report)


@dataclass(frozen=True)
class Case:
    """An archive's habit, what the site says of it, and the roles that it grants."""

    habit: Habit
    settings: dict[str, object] = field(default_factory=lambda: QUICK)
    roles: Roles | None = (True, True)


CASES = {
    "after_the_response": Case(after_the_response),
    "before_the_response": Case(before_the_response),
    "own_after": Case(own_after),
    "own_before": Case(own_before),
    "own_both_roles": Case(own_both_roles),
    "own_no_roles": Case(own_no_roles),
    "no_roles": Case(after_the_response, roles=None),
    "later": Case(on_a_later_one, {**QUICK, "listen": "1s", "within": "3s"}),
    "twice": Case(twice),
    "strangers": Case(strangers),
    "one_by_one": Case(one_by_one),
    "in_part": Case(in_part, IMPATIENT),
    "never": Case(never, {**IMPATIENT, "listen": "200ms", "attempts": 2}),
    "another_event": Case(another_event),
    "failures": Case(failures_under_success),
    "lacking": Case(lacking),
    "no_reason": Case(no_reason),
    "another_instance": Case(another_instance),
    "failing": Case(failing),
    **{name: Case(refusing(*some), {**QUICK, "attempts": 5}) for name, some in STATUSES.items()},
    "aborting": Case(aborting),
    "hanging_up": Case(hanging_up),
    "aborting_after": Case(aborting_after, IMPATIENT),
    "leaving": Case(reporting_and_aborting, IMPATIENT),
}

"""Writes docs/outcomes.md from the code's tables; `--check` only says whether it is current."""

import sys
from collections.abc import Iterator
from pathlib import Path

from router.commitment import reasons
from router.dicom.reasons import RejectReason
from router.egress import outcomes
from router.egress.dicom import MISCONFIGURED
from router.egress.outcomes import Charge, Outcome, Result

PAGE = Path(__file__).resolve().parents[1] / "docs" / "outcomes.md"

_HEAD = """\
# Outcomes

What the router makes of a destination's answers. This page is made from the code by `scripts/outcomes_page.py`.
The times are the destination's [`retry`](configuration.md#destinationsretry) and [`probe`](configuration.md#destinationsprobe).

## C-STORE statuses

A site may say what a destination means by a status: [`outcomes`](configuration.md#destinations). *Whose* says who pays for
a failure: the object's own patience, the destination (it goes down, its queue waits unharmed), or whichever the next
objects show to be sick.

| status | becomes | whose | reason | in words |
|---|---|---|---|---|
"""  # noqa: E501
_NETWORK = """
## Associations

| what happens | becomes | whose | reason |
|---|---|---|---|
| no connection (refused, unreachable, unknown host, TLS) | tried again: the destination is down, one probe at a time | destination | `connect_…`, `tls_…` |
| no answer in time | the same | destination | `timeout_acse`, `timeout_network` |
| an association lost while an object is sent (abort, silence, close) | tried again | either | `aborted_…`, `connection_lost`, `timeout_dimse` |
"""  # noqa: E501
_COMMITMENT = """
## Commitment

Failure reasons in reports of [storage commitment](commitment.md). A site may say what a destination means by one:
[`reasons`](configuration.md#destinationscommitment). After `refusals` of them the object is held whatever the reason.

| reason | becomes | waits | name | in words |
|---|---|---|---|---|
"""  # noqa: E501
_RESULTS = {
    Result.DELIVERED: "delivered",
    Result.RETRY_LATER: "tried again",
    Result.GIVE_UP: "failed",
    Result.HOLD: "held for a person",
}
_WAITS = {
    reasons.Action.SEND_AGAIN: "no",
    reasons.Action.WAIT: "`wait`",
    reasons.Action.ASK_AGAIN: "no",
    reasons.Action.HOLD: "for a person",
}


def page() -> str:
    """The page as the code has it now."""
    return (
        _HEAD
        + "".join(_statuses())
        + _NETWORK
        + "".join(_rejects())
        + _COMMITMENT
        + "".join(_reasons())
    )


def _statuses() -> Iterator[str]:
    for first, last, outcome in outcomes.table():
        status = f"{first:04X}" if first == last else f"{first:04X}–{last:04X}"
        yield _row(status, outcome)
    yield _row("any other", outcomes.UNKNOWN_STATUS)


def _row(status: str, outcome: Outcome) -> str:
    becomes = _RESULTS[outcome.result]
    if outcome.few_attempts:
        becomes += ", `object_attempts` times"
    whose = "" if outcome.result is Result.DELIVERED else outcome.charge.value
    if outcome.charge is Charge.DELIVERY and outcome.result is Result.HOLD:
        whose = "delivery"
    return f"| {status} | {becomes} | {whose} | `{outcome.reason}` | {outcome.words} |\n"


def _rejects() -> Iterator[str]:
    for reason in RejectReason:
        severe = (reason.source, reason.reason) in MISCONFIGURED
        words = reason.name.lower().replace("_", " ")
        soon = "a long wait at once: only a person can change it" if severe else "tried again"
        yield (
            f"| rejected: {words} (source {reason.source}, reason {reason.reason}) | {soon} "
            f"| destination | `rejected_{reason.name.lower()}` |\n"
        )


def _reasons() -> Iterator[str]:
    rows = [(f"{code:04X}", refusal) for code, refusal in sorted(reasons.REFUSALS.items())]
    rows += [("any other", reasons.UNKNOWN), ("not found by a query", reasons.NOT_FOUND)]
    for code, refusal in rows:
        waits = _WAITS[refusal.action]
        yield (
            f"| {code} | {refusal.action.value} | {waits} | `{refusal.reason}` "
            f"| {refusal.words} |\n"
        )
    yield (
        "| no report in time, `attempts` times | `fall_back` | `within` "
        f"| `{reasons.NOT_ANSWERED}` | the peer did not answer |\n"
    )


def main() -> int:
    """Write the page, or with `--check` compare it."""
    if "--check" in sys.argv:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

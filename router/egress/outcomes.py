"""What became of one delivery: a DIMSE status, a network error or a file error as an outcome.

Pure tables. Four results, as mail has them: delivered, retry later, give up, hold. An outcome
also says who pays for a failure: the delivery (its attempts), the destination (its health), or
either of them, when only the next objects can tell which is sick.
"""

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache


class Result(StrEnum):
    """How one attempt ended."""

    DELIVERED = "delivered"
    RETRY_LATER = "retry_later"
    GIVE_UP = "give_up"
    HOLD = "hold"


class Charge(StrEnum):
    """Who pays for a failed attempt."""

    DELIVERY = "delivery"
    DESTINATION = "destination"
    EITHER = "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One attempt's end.

    `reason` is bounded (it becomes a metric label and a ledger column), `words` are for people
    and hold no patient data. `few_attempts`: the object itself seems to be the cause, so only a
    few attempts are worth while, not days of them.
    """

    result: Result
    reason: str
    words: str
    charge: Charge = Charge.DELIVERY
    status: int | None = None
    few_attempts: bool = False

    def proven(self, *, object_is_sick: bool, few_attempts: bool = True) -> "Outcome":
        """This outcome, charged to the delivery or to the destination now that it is known."""
        if object_is_sick:
            return replace(self, charge=Charge.DELIVERY, few_attempts=few_attempts)
        return replace(self, charge=Charge.DESTINATION)


def of_status(status: int, overrides: Mapping[int, str] | None = None) -> Outcome:
    """The outcome of a C-STORE response's status (PS3.7 annex C, PS3.4 B.2.3).

    `overrides`: what this peer means by a status, in the words of the site's file."""
    found = _of_status(status)
    word = (overrides or {}).get(status)
    if word is None:
        return found
    words = f"{found.words} (status {status:04X} means {word} here)"
    result = OVERRIDES[word]
    return replace(found, result=result, words=words, charge=Charge.DELIVERY, few_attempts=False)


@lru_cache(maxsize=256)
def _of_status(status: int) -> Outcome:
    for row in _STATUSES:
        if row.first <= status <= row.last:
            return replace(row.outcome, status=status)
    return replace(UNKNOWN_STATUS, status=status)


def table() -> Iterator[tuple[int, int, Outcome]]:
    """All rows: first and last status, and the outcome."""
    for row in _STATUSES:
        yield row.first, row.last, row.outcome


def of_lost_association(reason: str, words: str) -> Outcome:
    """The association ended while an object was being stored: whether it came is not known.

    C-STORE may be repeated (the SOP instance UID makes it idempotent), so it is tried again.
    """
    return Outcome(result=Result.RETRY_LATER, reason=reason, words=words, charge=Charge.EITHER)


def of_no_association(reason: str, words: str) -> Outcome:
    """No association could be had: nothing was tried, so no delivery pays for it."""
    return Outcome(result=Result.RETRY_LATER, reason=reason, words=words, charge=Charge.DESTINATION)


def of_file_error(error: OSError, *, folder_is_well: bool = False) -> Outcome:
    """A file could not be written; mostly that is the folder's fault, seldom the name's.

    `folder_is_well`: the folder itself can be written to, so what stands in the way is below it,
    such as a patient's folder that belongs to somebody else: others are not to wait for that."""
    if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EFBIG):
        return hold("file_refused", f"the file system refuses the file: {_os_words(error)}")
    if folder_is_well and error.errno in _IN_THE_WAY:
        return retry("file_refused", f"its place in the folder is taken: {_os_words(error)}")
    reason = _FOLDER_FAULTS.get(error.errno or 0, "folder_failed")
    return of_no_association(reason, f"the folder cannot be written: {_os_words(error)}")


def delivered(reason: str = "stored", words: str = "stored") -> Outcome:
    return Outcome(result=Result.DELIVERED, reason=reason, words=words)


def hold(reason: str, words: str) -> Outcome:
    return Outcome(result=Result.HOLD, reason=reason, words=words)


def retry(reason: str, words: str, *, few_attempts: bool = False) -> Outcome:
    return Outcome(result=Result.RETRY_LATER, reason=reason, words=words, few_attempts=few_attempts)


def _os_words(error: OSError) -> str:
    # strerror alone: the text of the exception holds the path, and the path holds patient data.
    return error.strerror or type(error).__name__


@dataclass(frozen=True, slots=True)
class _Row:
    first: int
    last: int
    outcome: Outcome


def _out_of_resources(reason: str, words: str) -> Outcome:
    return Outcome(result=Result.RETRY_LATER, reason=reason, words=words, charge=Charge.EITHER)


OVERRIDES = {
    "delivered": Result.DELIVERED,
    "retry": Result.RETRY_LATER,
    "fail": Result.GIVE_UP,
    "hold": Result.HOLD,
}
"""What a site's word for a status means."""

# In the order of search: single statuses before the ranges that hold them.
_STATUSES = (
    _Row(0x0000, 0x0000, delivered()),
    _Row(0x0001, 0x0001, delivered("stored_with_warning", "stored, with a warning")),
    _Row(0xB000, 0xB000, delivered("elements_coerced", "stored; the peer changed elements")),
    _Row(0xB006, 0xB006, delivered("elements_discarded", "stored; the peer dropped elements")),
    _Row(0xB007, 0xB007, delivered("stored_mismatch", "stored; data set and SOP class differ")),
    _Row(0x0107, 0x0107, delivered("stored_with_warning", "stored; attributes not understood")),
    _Row(0x0116, 0x0116, delivered("stored_with_warning", "stored; a value is out of range")),
    _Row(0xB000, 0xBFFF, delivered("stored_with_warning", "stored, with a warning")),
    _Row(0x0111, 0x0111, delivered("duplicate", "the peer has this SOP instance already")),
    _Row(0xA700, 0xA7FF, _out_of_resources("out_of_resources", "the peer is out of resources")),
    _Row(0x0213, 0x0213, _out_of_resources("resource_limitation", "the peer lacks resources")),
    _Row(0x0110, 0x0110, retry("processing_failure", "the peer failed to process the object")),
    _Row(0xFE00, 0xFE00, retry("cancelled_by_peer", "the peer cancelled", few_attempts=True)),
    _Row(0xA900, 0xA9FF, hold("data_set_mismatch", "the data set does not match its SOP class")),
    _Row(0xC000, 0xCFFF, retry("cannot_understand", "the peer cannot use it", few_attempts=True)),
    _Row(0x0122, 0x0122, hold("sop_class_refused", "the peer does not support the SOP class")),
    _Row(0x0124, 0x0124, hold("not_authorised", "the peer refuses: we are not authorised")),
    _Row(0x0117, 0x0117, hold("instance_refused", "the peer refuses the SOP instance UID")),
    _Row(0x0118, 0x0118, hold("sop_class_refused", "the peer knows no such SOP class")),
    _Row(0x0119, 0x0119, hold("sop_class_refused", "SOP class and instance conflict")),
    _Row(0x0105, 0x0106, hold("attribute_refused", "the peer refuses an attribute")),
    _Row(0x0120, 0x0121, hold("attribute_refused", "the peer misses an attribute or its value")),
    _Row(0x0211, 0x0212, hold("operation_refused", "the peer does not take C-STORE requests")),
)
UNKNOWN_STATUS = retry("unknown_status", "the peer gave an unknown status", few_attempts=True)

_IN_THE_WAY = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)
_FOLDER_FAULTS = {
    errno.ENOSPC: "folder_full",
    errno.EDQUOT: "folder_full",
    errno.EACCES: "folder_forbidden",
    errno.EPERM: "folder_forbidden",
    errno.EROFS: "folder_forbidden",
    errno.ENOENT: "folder_missing",
    errno.ENOTDIR: "folder_missing",
    errno.ESTALE: "folder_missing",
}

REASONS = frozenset(
    {row.outcome.reason for row in _STATUSES}
    | set(_FOLDER_FAULTS.values())
    | {UNKNOWN_STATUS.reason, "folder_failed", "file_refused"}
)

"""The standard's closed lists of results, sources and reasons (PS3.8 9.3.3.2, 9.3.4, 9.3.8).

Fields of PDUs hold plain integers, since a peer may send any; these give the known ones a name.
"""

import enum


class ContextResult(enum.IntEnum):
    """Answer to one proposed presentation context (PS3.8 table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class RejectResult(enum.IntEnum):
    """Whether trying again later may help (PS3.8 table 9-21)."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectReason(enum.Enum):
    """Why an association is rejected; a reason belongs to its source (PS3.8 table 9-21)."""

    NO_REASON = (1, 1)
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = (1, 2)
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 7)
    ACSE_NO_REASON = (2, 1)
    PROTOCOL_VERSION_NOT_SUPPORTED = (2, 2)
    TEMPORARY_CONGESTION = (3, 1)
    LOCAL_LIMIT_EXCEEDED = (3, 2)

    @property
    def source(self) -> int:
        """1 service user, 2 provider (ACSE), 3 provider (presentation)."""
        return self.value[0]

    @property
    def reason(self) -> int:
        """The reason's number under its source."""
        return self.value[1]


class AbortSource(enum.IntEnum):
    """Who aborts (PS3.8 table 9-26)."""

    USER = 0
    PROVIDER = 2


class AbortReason(enum.IntEnum):
    """Why the provider aborts; not significant when the user does (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


def reject_slug(source: int, reason: int) -> str:
    """Return a bounded lower-case word for a reject, fit for a metric's label."""
    try:
        return RejectReason((source, reason)).name.lower()
    except ValueError:
        return "unknown_reason"


def abort_slug(source: int, reason: int) -> str:
    """Return a bounded lower-case word for an abort, fit for a metric's label."""
    if source == AbortSource.USER:
        return "user"
    try:
        return AbortReason(reason).name.lower()
    except ValueError:
        return "unknown_reason"

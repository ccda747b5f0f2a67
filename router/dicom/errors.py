"""What the DICOM layer raises, and nothing else, whatever bytes or calls it is given.

ProtocolError           abstract
├── LocalProtocolError  we broke the protocol: a mistake in our own code
└── RemoteProtocolError the peer broke it; carries the abort that answers it
Part10Error             abstract: these bytes have no readable file meta information
├── NotPart10           no preamble and prefix
├── TruncatedMeta       more bytes are needed
└── MalformedMeta       prefix present, what follows is not file meta information
"""

from router.dicom.reasons import AbortReason, AbortSource


class ProtocolError(Exception):
    """Somebody broke the protocol; raise one of the two that says who."""

    def __init__(self, message: str) -> None:
        if type(self) is ProtocolError:
            raise TypeError("ProtocolError is abstract")
        super().__init__(message)


class LocalProtocolError(ProtocolError):
    """This side tried to send or do what the protocol does not allow now."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what is not allowed; `abort_source` and `abort_reason` answer it."""

    def __init__(
        self,
        message: str,
        *,
        abort_source: int = AbortSource.PROVIDER,
        abort_reason: int = AbortReason.INVALID_PARAMETER_VALUE,
    ) -> None:
        super().__init__(message)
        self.abort_source = abort_source
        self.abort_reason = abort_reason


class Part10Error(Exception):
    """The file meta information cannot be read or written."""

    def __init__(self, message: str) -> None:
        if type(self) is Part10Error:
            raise TypeError("Part10Error is abstract")
        super().__init__(message)


class NotPart10(Part10Error):
    """There is no preamble followed by the prefix DICM (PS3.10 7.1)."""


class TruncatedMeta(Part10Error):
    """The bytes end inside the preamble or the file meta information."""


class MalformedMeta(Part10Error):
    """The file meta information is not a well-formed group 0002."""

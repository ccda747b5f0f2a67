"""What an association tells its user: one frozen type per indication."""

from dataclasses import dataclass, field

from router.dicom.commands import Command
from router.dicom.errors import ProtocolError
from router.dicom.pdus import AAssociateAc, AAssociateRq


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequested:
    """The peer asks for an association: `accept`, `reject` or `abort` is next."""

    request: AAssociateRq


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationAccepted:
    """The peer accepted our request; `Association.contexts` says what for."""

    accept: AAssociateAc


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRejected:
    """The association does not come about: the peer rejected ours, or (as acceptor) the layer
    itself rejected a request that it cannot speak (version, application context)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReceived:
    """A whole command set came; with `has_data`, `DataReceived` follows up to one that is last."""

    context_id: int
    command: Command
    has_data: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived:
    """Bytes of a data set, a view into the receive buffer: valid until the next
    `receive_buffer`, `receive` or `shrink`. The last one may be empty."""

    context_id: int
    data: memoryview = field(repr=False)
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequested:
    """The peer wants to release: `release_response` is next (or `abort`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The peer agreed to our release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """The association is aborted, by the peer or by this layer because of `error`."""

    source: int
    reason: int
    by_peer: bool
    error: ProtocolError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Nothing more will come. `lost`: the peer went away without release or abort."""

    lost: bool = False


Event = (
    AssociationRequested
    | AssociationAccepted
    | AssociationRejected
    | CommandReceived
    | DataReceived
    | ReleaseRequested
    | Released
    | Aborted
    | Closed
)

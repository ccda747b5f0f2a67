"""Finds PDUs in what was received, and streams the fragments inside P-DATA-TF (PS3.8 9.3.5).

A control PDU is handed on when it is whole, a fragment as its bytes come in. The stream knows
nothing of states: what to do with an arrival is the association's.
"""

import enum
import struct

from router.dicom.errors import RemoteProtocolError
from router.dicom.limits import Limits
from router.dicom.pdu_reader import read_pdu, unrecognized_pdu
from router.dicom.pdu_writer import COMMAND, LAST
from router.dicom.pdus import AReleaseRq, Pdu, PduType
from router.dicom.receive_buffer import ReceiveBuffer

_PDU_HEADER = struct.Struct(">BxI")
_FRAGMENT_HEADER = struct.Struct(">IBB")
_LONGEST_FIXED = 64  # A-RELEASE, A-ABORT and reject have 4; some room for what a peer may add
_KNOWN_TYPES = frozenset(map(int, PduType))
_P_DATA_TF = int(PduType.P_DATA_TF)
_NOTHING = memoryview(b"")


class Arrival(enum.Enum):
    """What `advance` found; the details are in the stream's attributes."""

    PDU = "a whole control PDU, in `pdu`"
    DATA_PDU = "the header of a P-DATA-TF, and none of its fragments yet"
    FRAGMENT = "bytes of a fragment: `context_id`, `is_command`, `data`, `ends`"


class PduStream:
    """Reads `buffer`; `advance` until it returns None, which means that bytes are missing."""

    __slots__ = (
        "_discarding",
        "_fragment_left",
        "_in_fragment",
        "_is_last",
        "_limits",
        "_pdu_left",
        "buffer",
        "context_id",
        "data",
        "ends",
        "is_command",
        "pdu",
    )

    def __init__(self, buffer: ReceiveBuffer, limits: Limits) -> None:
        self.buffer = buffer
        self._limits = limits
        self._discarding = False
        self._pdu_left = 0
        self._fragment_left = 0
        self._in_fragment = False
        self._is_last = False
        self.pdu: Pdu = AReleaseRq()
        self.context_id = 0
        self.is_command = False
        self.ends = False
        self.data = _NOTHING

    def discard(self) -> None:
        """Drop everything from now on: where the next PDU starts is not known any more."""
        self._discarding = True

    def shrink(self) -> None:
        """Give back the memory of a grown buffer: the last view of it would keep it whole."""
        self.data = _NOTHING
        self.buffer.shrink()

    def advance(self) -> Arrival | None:
        """Take the next thing out of the buffer; RemoteProtocolError when it is no such thing."""
        buffer = self.buffer
        if self._discarding:
            buffer.start = buffer.end
            return None
        if self._in_fragment:
            return self._take_fragment()
        if self._pdu_left:
            return self._start_fragment()
        return self._start_pdu()

    def _start_pdu(self) -> Arrival | None:
        buffer = self.buffer
        if buffer.end == buffer.start:
            return None
        kind = buffer.view[buffer.start]
        if kind not in _KNOWN_TYPES:
            raise unrecognized_pdu(kind)
        if buffer.end - buffer.start < _PDU_HEADER.size:
            return None
        _, length = _PDU_HEADER.unpack_from(buffer.view, buffer.start)
        if kind == _P_DATA_TF:
            return self._start_data_pdu(length)
        self._check_length(kind, length)
        body = buffer.start + _PDU_HEADER.size
        if buffer.end - body < length:
            return None
        buffer.start = body + length
        self.pdu = read_pdu(kind, bytes(buffer.view[body : body + length]), self._limits)
        return Arrival.PDU

    def _check_length(self, kind: int, length: int) -> None:
        associate = kind in (PduType.A_ASSOCIATE_RQ, PduType.A_ASSOCIATE_AC)
        longest = self._limits.association_pdu_length if associate else _LONGEST_FIXED
        if length > longest:
            raise RemoteProtocolError(f"{PduType(kind).name} of {length} bytes: at most {longest}")

    def _start_data_pdu(self, length: int) -> Arrival:
        if length > self._limits.data_pdu_length:
            raise RemoteProtocolError(f"P-DATA-TF of {length} bytes")
        if length == 0:
            raise RemoteProtocolError("P-DATA-TF without a presentation data value")
        self.buffer.start += _PDU_HEADER.size
        self._pdu_left = length
        return self._start_fragment() or Arrival.DATA_PDU

    def _start_fragment(self) -> Arrival | None:
        buffer = self.buffer
        if self._pdu_left < _FRAGMENT_HEADER.size:
            raise RemoteProtocolError("P-DATA-TF ends inside the header of a fragment")
        if buffer.end - buffer.start < _FRAGMENT_HEADER.size:
            return None
        length, context_id, control = _FRAGMENT_HEADER.unpack_from(buffer.view, buffer.start)
        if length < 2 or length + 4 > self._pdu_left:
            raise RemoteProtocolError(f"presentation data value of {length} bytes")
        buffer.start += _FRAGMENT_HEADER.size
        self._pdu_left -= length + 4
        self._fragment_left = length - 2
        self._in_fragment = True
        self.context_id = context_id
        self.is_command = bool(control & COMMAND)
        self._is_last = bool(control & LAST)
        return self._take_fragment()

    def _take_fragment(self) -> Arrival | None:
        buffer = self.buffer
        left = self._fragment_left
        start = buffer.start
        end = buffer.end
        if end - start < left:
            if end == start:
                return None
            self._fragment_left = left - (end - start)
            self.ends = False
        else:
            end = start + left
            self._in_fragment = False
            self.ends = self._is_last
        buffer.start = end
        self.data = buffer.view[start:end]
        return Arrival.FRAGMENT

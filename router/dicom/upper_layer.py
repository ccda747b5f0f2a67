"""The actions of the state machine (PS3.8 tables 9-6 to 9-9): what is sent, told and timed.

It knows PDUs, not messages. A request of our own user that the table does not allow is a
LocalProtocolError and changes nothing.
"""

from collections import deque
from collections.abc import Callable, Mapping

from router.dicom.errors import LocalProtocolError, RemoteProtocolError
from router.dicom.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    Event,
    Released,
    ReleaseRequested,
)
from router.dicom.limits import Timers
from router.dicom.negotiation import refusal
from router.dicom.pdu_writer import write_pdu
from router.dicom.pdus import (
    AAbort,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AReleaseRp,
    AReleaseRq,
    PDataTf,
    Pdu,
)
from router.dicom.reasons import AbortReason, AbortSource
from router.dicom.states import NEXT_STATES, TABLE, Action, Cause, State

_PDU_CAUSES: Mapping[type[Pdu], Cause] = {
    AAssociateRq: Cause.ASSOCIATE_RQ_PDU,
    AAssociateAc: Cause.ASSOCIATE_AC_PDU,
    AAssociateRj: Cause.ASSOCIATE_RJ_PDU,
    PDataTf: Cause.DATA_PDU,
    AReleaseRq: Cause.RELEASE_RQ_PDU,
    AReleaseRp: Cause.RELEASE_RP_PDU,
    AAbort: Cause.ABORT_PDU,
}
_REFUSALS = (Action.SEND_USER_ABORT, Action.SEND_PROVIDER_ABORT, Action.ANSWER_WITH_ABORT)
_AWAITING_ANSWER = (
    State.AWAITING_ANSWER,
    State.AWAITING_RELEASE_RESPONSE,
    State.COLLISION_ACCEPTOR_AWAITING_PEER,
    State.COLLISION_REQUESTOR_AWAITING_PEER,
)
_DATA = PDataTf(values=())
_NO_PDU = AReleaseRq()  # for actions that take nothing from it


class UpperLayer:
    """State, timer, what is to be sent and what is to be told, of one association."""

    def __init__(self, *, is_requestor: bool, now: float, timers: Timers) -> None:
        self.state = State.IDLE
        self.events: deque[Event] = deque()
        self.request: AAssociateRq | None = None
        self.accept: AAssociateAc | None = None
        self.over = False  # the transport connection is closed, or is for us to close
        self.lost = False  # ... by the peer, in the middle of the association
        self.is_requestor = is_requestor
        self._timers = timers
        self._now = now
        self._waiting: float | None = None  # how long, once the caller next tells the time
        self._deadline: float | None = None
        self._output = bytearray()
        self._release_owed = False

    # What drives it.

    def begin(self, request: AAssociateRq | None) -> None:
        """Go through the states that a connection already made has behind it."""
        if request is None:
            self._drive(Cause.CONNECTION_ACCEPTED, _NO_PDU)
        else:
            self._drive(Cause.ASSOCIATE_REQUEST, request)
            self._drive(Cause.CONNECTED, request)
        self.deadline(self._now)

    def received(self, pdu: Pdu) -> None:
        """Take a PDU of the peer."""
        cause = _PDU_CAUSES[type(pdu)]
        action = TABLE[cause, self.state]
        if action in _REFUSALS:
            self._refuse(action, _unexpected(cause, self.state))
        else:
            self._drive_to(action, pdu)

    def data_received(self) -> bool:
        """Take something of a P-DATA-TF. Return whether fragments are to be told in this state."""
        state = self.state
        if state is State.ESTABLISHED or state is State.AWAITING_RELEASE_RESPONSE:
            return True  # DT-2 and AR-6 change nothing: the hot path
        self.received(_DATA)
        return False

    def connection_closed(self) -> None:
        """Take that the transport connection is gone."""
        if (Cause.CONNECTION_CLOSED, self.state) in TABLE:
            self._drive(Cause.CONNECTION_CLOSED, _NO_PDU)

    def ask(self, cause: Cause, pdu: Pdu = _NO_PDU) -> None:
        """Take a request or response of our own user."""
        if (cause, self.state) not in TABLE:
            raise LocalProtocolError(f"no {cause.name.lower()} in state {self.state.name.lower()}")
        self._drive(cause, pdu)

    def data_sent(self) -> None:
        """Take that our own user sends a fragment."""
        if self.state is not State.ESTABLISHED:  # where it is, DT-1 changes nothing: the hot path
            self.ask(Cause.DATA_REQUEST)

    def release_response(self) -> None:
        """Answer a release; after a collision the acceptor's answer waits for the peer's."""
        if self.state is State.COLLISION_ACCEPTOR_AWAITING_PEER:
            self._release_owed = True
        else:
            self.ask(Cause.RELEASE_RESPONSE)

    def abort(self, abort: AAbort) -> None:
        """Abort, or just close where there is nothing to abort."""
        if (Cause.ABORT_REQUEST, self.state) in TABLE:
            self._drive(Cause.ABORT_REQUEST, abort)
        elif self.state is not State.IDLE:
            self._drive_to(Action.CLOSE, _NO_PDU)

    def fail(self, error: RemoteProtocolError) -> None:
        """Answer what the peer broke, and tell."""
        by_user = error.abort_source == AbortSource.USER
        cause = Cause.ABORT_REQUEST if by_user else Cause.INVALID_PDU
        action = TABLE.get((cause, self.state))
        if action is not None:
            self._refuse(action, error)

    # Time.

    def deadline(self, now: float) -> float | None:
        """Return when `expired` is due; a wait that began since the last call begins `now`."""
        if self._waiting is not None:
            self._deadline = now + self._waiting
            self._waiting = None
        return self._deadline

    def expired(self, now: float) -> None:
        """Act on a deadline that has passed; nothing happens before it."""
        deadline = self.deadline(now)
        if deadline is None or now < deadline:
            return
        self._stop_waiting()
        if self.state in _AWAITING_ANSWER:
            self._refuse(Action.SEND_USER_ABORT, _unanswered(self.state))
        elif (Cause.ARTIM_EXPIRED, self.state) in TABLE:
            self._drive(Cause.ARTIM_EXPIRED, _NO_PDU)

    # What it has for the shell.

    def send(self, data: bytes) -> None:
        """Queue bytes to be written."""
        self._output += data

    def outgoing(self) -> bytes:
        """Return and forget the bytes to be written."""
        output = self._output
        if not output:
            return b""
        self._output = bytearray()
        return bytes(output)

    # The machine.

    def _drive(self, cause: Cause, pdu: Pdu) -> None:
        self._drive_to(TABLE[cause, self.state], pdu)

    def _drive_to(self, action: Action, pdu: Pdu) -> None:
        following = _ACTIONS[action](self, pdu)
        self.state = NEXT_STATES[action][0] if following is None else following
        if self._release_owed and self.state is State.COLLISION_ACCEPTOR_AWAITING_LOCAL:
            self._release_owed = False
            self._drive(Cause.RELEASE_RESPONSE, _NO_PDU)

    def _wait(self, seconds: float | None) -> None:
        self._deadline = None
        self._waiting = seconds

    def _stop_waiting(self) -> None:
        self._deadline = self._waiting = None

    def _refuse(self, action: Action, error: RemoteProtocolError) -> None:
        abort = AAbort(source=error.abort_source, reason=error.abort_reason)
        if action is Action.SEND_USER_ABORT:  # its source is the user's, its reason not significant
            abort = AAbort(source=AbortSource.USER, reason=AbortReason.NOT_SPECIFIED)
        is_news = self.state is not State.AWAITING_CLOSE
        self._drive_to(action, abort)
        if is_news:
            self.events.append(
                Aborted(source=abort.source, reason=abort.reason, by_peer=False, error=error)
            )

    # Actions: each returns the next state only where the table leaves a choice.

    def _nothing(self, _: Pdu) -> None:
        """Connecting, fragments and ignored PDUs are dealt with elsewhere."""

    def _answer_with_abort(self, pdu: Pdu) -> None:
        self.send(write_pdu(pdu))

    def _send_request(self, pdu: Pdu) -> None:
        assert isinstance(pdu, AAssociateRq)
        self.send(write_pdu(pdu))
        self.request = pdu
        self._wait(self._timers.answer)

    def _confirm_acceptance(self, pdu: Pdu) -> None:
        assert isinstance(pdu, AAssociateAc)
        self._stop_waiting()
        self.accept = pdu
        self.events.append(AssociationAccepted(accept=pdu))

    def _confirm_rejection(self, pdu: Pdu) -> None:
        assert isinstance(pdu, AAssociateRj)
        self._tell_rejection(pdu)
        self._end(pdu)

    def _tell_rejection(self, reject: AAssociateRj) -> None:
        self.events.append(
            AssociationRejected(result=reject.result, source=reject.source, reason=reject.reason)
        )

    def _start_artim(self, _: Pdu) -> None:
        self._wait(self._timers.artim)

    def _indicate_request(self, pdu: Pdu) -> State | None:
        assert isinstance(pdu, AAssociateRq)
        self._stop_waiting()
        self.request = pdu
        reject = refusal(pdu)
        if reject is None:
            self.events.append(AssociationRequested(request=pdu))
            return None
        self._send_and_start_artim(reject)
        self._tell_rejection(reject)
        return State.AWAITING_CLOSE

    def _send_acceptance(self, pdu: Pdu) -> None:
        assert isinstance(pdu, AAssociateAc)
        self.send(write_pdu(pdu))
        self.accept = pdu

    def _send_and_start_artim(self, pdu: Pdu) -> None:
        self.send(write_pdu(pdu))
        self._wait(self._timers.artim)

    def _send_release_request(self, _: Pdu) -> None:
        self.send(write_pdu(AReleaseRq()))
        self._wait(self._timers.answer)

    def _indicate_release(self, _: Pdu) -> None:
        self.events.append(ReleaseRequested())

    def _confirm_release_and_close(self, pdu: Pdu) -> None:
        self.events.append(Released())
        self._end(pdu)

    def _send_release_response(self, _: Pdu) -> None:
        self._send_and_start_artim(AReleaseRp())

    def _indicate_collision(self, _: Pdu) -> State | None:
        self.events.append(ReleaseRequested())
        if not self.is_requestor:
            return State.COLLISION_ACCEPTOR_AWAITING_PEER
        self._stop_waiting()
        return None

    def _send_collision_response(self, _: Pdu) -> None:
        self.send(write_pdu(AReleaseRp()))
        self._wait(self._timers.answer)

    def _confirm_collision_release(self, _: Pdu) -> None:
        self.events.append(Released())

    def _indicate_abort(self, pdu: Pdu) -> None:
        assert isinstance(pdu, AAbort)
        self.events.append(Aborted(source=pdu.source, reason=pdu.reason, by_peer=True))
        self._end(pdu)

    def _indicate_loss(self, pdu: Pdu) -> None:
        self.lost = True
        self._end(pdu)

    def _end(self, _: Pdu) -> None:
        self._stop_waiting()
        self.over = True


def _unexpected(cause: Cause, state: State) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"{cause.name} in state {state.name}", abort_reason=AbortReason.UNEXPECTED_PDU
    )


def _unanswered(state: State) -> RemoteProtocolError:
    return RemoteProtocolError(
        f"timed out in state {state.name}",
        abort_source=AbortSource.USER,
        abort_reason=AbortReason.NOT_SPECIFIED,
    )


_ACTIONS: Mapping[Action, Callable[[UpperLayer, Pdu], State | None]] = {
    Action.CONNECT: UpperLayer._nothing,
    Action.SEND_REQUEST: UpperLayer._send_request,
    Action.CONFIRM_ACCEPTANCE: UpperLayer._confirm_acceptance,
    Action.CONFIRM_REJECTION: UpperLayer._confirm_rejection,
    Action.AWAIT_REQUEST: UpperLayer._start_artim,
    Action.INDICATE_REQUEST: UpperLayer._indicate_request,
    Action.SEND_ACCEPTANCE: UpperLayer._send_acceptance,
    Action.SEND_REJECTION: UpperLayer._send_and_start_artim,
    Action.SEND_DATA: UpperLayer._nothing,
    Action.INDICATE_DATA: UpperLayer._nothing,
    Action.SEND_RELEASE_REQUEST: UpperLayer._send_release_request,
    Action.INDICATE_RELEASE: UpperLayer._indicate_release,
    Action.CONFIRM_RELEASE_AND_CLOSE: UpperLayer._confirm_release_and_close,
    Action.SEND_RELEASE_RESPONSE: UpperLayer._send_release_response,
    Action.END: UpperLayer._end,
    Action.INDICATE_DATA_WHILE_RELEASING: UpperLayer._nothing,
    Action.SEND_DATA_WHILE_RELEASING: UpperLayer._nothing,
    Action.INDICATE_COLLISION: UpperLayer._indicate_collision,
    Action.SEND_COLLISION_RESPONSE: UpperLayer._send_collision_response,
    Action.CONFIRM_COLLISION_RELEASE: UpperLayer._confirm_collision_release,
    Action.SEND_USER_ABORT: UpperLayer._send_and_start_artim,
    Action.CLOSE: UpperLayer._end,
    Action.INDICATE_ABORT: UpperLayer._indicate_abort,
    Action.INDICATE_LOSS: UpperLayer._indicate_loss,
    Action.STOP_WAITING: UpperLayer._end,
    Action.IGNORE: UpperLayer._nothing,
    Action.ANSWER_WITH_ABORT: UpperLayer._answer_with_abort,
    Action.SEND_PROVIDER_ABORT: UpperLayer._send_and_start_artim,
}

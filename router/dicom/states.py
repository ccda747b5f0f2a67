"""The upper layer's state machine, PS3.8 tables 9-1 to 9-10, as data.

Every transition is here and nowhere else; what an action does is upper_layer's. A cell that is
absent is one the standard leaves empty: the event cannot happen in that state, or, when it is a
request of our own user, is not allowed there.
"""

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.Enum):
    """PS3.8 tables 9-1 to 9-5."""

    IDLE = "Sta1"
    AWAITING_REQUEST = "Sta2"
    AWAITING_LOCAL_ANSWER = "Sta3"
    CONNECTING = "Sta4"
    AWAITING_ANSWER = "Sta5"
    ESTABLISHED = "Sta6"
    AWAITING_RELEASE_RESPONSE = "Sta7"
    AWAITING_LOCAL_RELEASE_RESPONSE = "Sta8"
    COLLISION_REQUESTOR_AWAITING_LOCAL = "Sta9"
    COLLISION_ACCEPTOR_AWAITING_PEER = "Sta10"
    COLLISION_REQUESTOR_AWAITING_PEER = "Sta11"
    COLLISION_ACCEPTOR_AWAITING_LOCAL = "Sta12"
    AWAITING_CLOSE = "Sta13"


class Cause(enum.Enum):
    """What drives the machine: PS3.8 table 9-10, first column."""

    ASSOCIATE_REQUEST = "Evt1"
    CONNECTED = "Evt2"
    ASSOCIATE_AC_PDU = "Evt3"
    ASSOCIATE_RJ_PDU = "Evt4"
    CONNECTION_ACCEPTED = "Evt5"
    ASSOCIATE_RQ_PDU = "Evt6"
    ACCEPT = "Evt7"
    REJECT = "Evt8"
    DATA_REQUEST = "Evt9"
    DATA_PDU = "Evt10"
    RELEASE_REQUEST = "Evt11"
    RELEASE_RQ_PDU = "Evt12"
    RELEASE_RP_PDU = "Evt13"
    RELEASE_RESPONSE = "Evt14"
    ABORT_REQUEST = "Evt15"
    ABORT_PDU = "Evt16"
    CONNECTION_CLOSED = "Evt17"
    ARTIM_EXPIRED = "Evt18"
    INVALID_PDU = "Evt19"


class Action(enum.Enum):
    """PS3.8 tables 9-6 to 9-9."""

    CONNECT = "AE-1"
    SEND_REQUEST = "AE-2"
    CONFIRM_ACCEPTANCE = "AE-3"
    CONFIRM_REJECTION = "AE-4"
    AWAIT_REQUEST = "AE-5"
    INDICATE_REQUEST = "AE-6"
    SEND_ACCEPTANCE = "AE-7"
    SEND_REJECTION = "AE-8"
    SEND_DATA = "DT-1"
    INDICATE_DATA = "DT-2"
    SEND_RELEASE_REQUEST = "AR-1"
    INDICATE_RELEASE = "AR-2"
    CONFIRM_RELEASE_AND_CLOSE = "AR-3"
    SEND_RELEASE_RESPONSE = "AR-4"
    END = "AR-5"
    INDICATE_DATA_WHILE_RELEASING = "AR-6"
    SEND_DATA_WHILE_RELEASING = "AR-7"
    INDICATE_COLLISION = "AR-8"
    SEND_COLLISION_RESPONSE = "AR-9"
    CONFIRM_COLLISION_RELEASE = "AR-10"
    SEND_USER_ABORT = "AA-1"
    CLOSE = "AA-2"
    INDICATE_ABORT = "AA-3"
    INDICATE_LOSS = "AA-4"
    STOP_WAITING = "AA-5"
    IGNORE = "AA-6"
    ANSWER_WITH_ABORT = "AA-7"
    SEND_PROVIDER_ABORT = "AA-8"


# The state after each action. Two actions choose between two (PS3.8 tables 9-6 and 9-8).
NEXT_STATES: Final[Mapping[Action, tuple[State, ...]]] = {
    Action.CONNECT: (State.CONNECTING,),
    Action.SEND_REQUEST: (State.AWAITING_ANSWER,),
    Action.CONFIRM_ACCEPTANCE: (State.ESTABLISHED,),
    Action.CONFIRM_REJECTION: (State.IDLE,),
    Action.AWAIT_REQUEST: (State.AWAITING_REQUEST,),
    Action.INDICATE_REQUEST: (State.AWAITING_LOCAL_ANSWER, State.AWAITING_CLOSE),
    Action.SEND_ACCEPTANCE: (State.ESTABLISHED,),
    Action.SEND_REJECTION: (State.AWAITING_CLOSE,),
    Action.SEND_DATA: (State.ESTABLISHED,),
    Action.INDICATE_DATA: (State.ESTABLISHED,),
    Action.SEND_RELEASE_REQUEST: (State.AWAITING_RELEASE_RESPONSE,),
    Action.INDICATE_RELEASE: (State.AWAITING_LOCAL_RELEASE_RESPONSE,),
    Action.CONFIRM_RELEASE_AND_CLOSE: (State.IDLE,),
    Action.SEND_RELEASE_RESPONSE: (State.AWAITING_CLOSE,),
    Action.END: (State.IDLE,),
    Action.INDICATE_DATA_WHILE_RELEASING: (State.AWAITING_RELEASE_RESPONSE,),
    Action.SEND_DATA_WHILE_RELEASING: (State.AWAITING_LOCAL_RELEASE_RESPONSE,),
    Action.INDICATE_COLLISION: (
        State.COLLISION_REQUESTOR_AWAITING_LOCAL,
        State.COLLISION_ACCEPTOR_AWAITING_PEER,
    ),
    Action.SEND_COLLISION_RESPONSE: (State.COLLISION_REQUESTOR_AWAITING_PEER,),
    Action.CONFIRM_COLLISION_RELEASE: (State.COLLISION_ACCEPTOR_AWAITING_LOCAL,),
    Action.SEND_USER_ABORT: (State.AWAITING_CLOSE,),
    Action.CLOSE: (State.IDLE,),
    Action.INDICATE_ABORT: (State.IDLE,),
    Action.INDICATE_LOSS: (State.IDLE,),
    Action.STOP_WAITING: (State.IDLE,),
    Action.IGNORE: (State.AWAITING_CLOSE,),
    Action.ANSWER_WITH_ABORT: (State.AWAITING_CLOSE,),
    Action.SEND_PROVIDER_ABORT: (State.AWAITING_CLOSE,),
}

_IN_ASSOCIATION = tuple(State)[4:12]  # Sta5 to Sta12
_UNEXPECTED = {
    State.AWAITING_REQUEST: Action.SEND_USER_ABORT,
    State.AWAITING_LOCAL_ANSWER: Action.SEND_PROVIDER_ABORT,
    **dict.fromkeys(_IN_ASSOCIATION, Action.SEND_PROVIDER_ABORT),
    State.AWAITING_CLOSE: Action.IGNORE,
}
"""What a PDU that does not fit the state leads to; rows of PDUs below say only what differs."""

_ROWS: Mapping[Cause, Mapping[State, Action]] = {
    Cause.ASSOCIATE_REQUEST: {State.IDLE: Action.CONNECT},
    Cause.CONNECTED: {State.CONNECTING: Action.SEND_REQUEST},
    Cause.ASSOCIATE_AC_PDU: {
        **_UNEXPECTED,
        State.AWAITING_ANSWER: Action.CONFIRM_ACCEPTANCE,
    },
    Cause.ASSOCIATE_RJ_PDU: {
        **_UNEXPECTED,
        State.AWAITING_ANSWER: Action.CONFIRM_REJECTION,
    },
    Cause.CONNECTION_ACCEPTED: {State.IDLE: Action.AWAIT_REQUEST},
    Cause.ASSOCIATE_RQ_PDU: {
        **_UNEXPECTED,
        State.AWAITING_REQUEST: Action.INDICATE_REQUEST,
        State.AWAITING_CLOSE: Action.ANSWER_WITH_ABORT,
    },
    Cause.ACCEPT: {State.AWAITING_LOCAL_ANSWER: Action.SEND_ACCEPTANCE},
    Cause.REJECT: {State.AWAITING_LOCAL_ANSWER: Action.SEND_REJECTION},
    Cause.DATA_REQUEST: {
        State.ESTABLISHED: Action.SEND_DATA,
        State.AWAITING_LOCAL_RELEASE_RESPONSE: Action.SEND_DATA_WHILE_RELEASING,
    },
    Cause.DATA_PDU: {
        **_UNEXPECTED,
        State.ESTABLISHED: Action.INDICATE_DATA,
        State.AWAITING_RELEASE_RESPONSE: Action.INDICATE_DATA_WHILE_RELEASING,
    },
    Cause.RELEASE_REQUEST: {State.ESTABLISHED: Action.SEND_RELEASE_REQUEST},
    Cause.RELEASE_RQ_PDU: {
        **_UNEXPECTED,
        State.ESTABLISHED: Action.INDICATE_RELEASE,
        State.AWAITING_RELEASE_RESPONSE: Action.INDICATE_COLLISION,
    },
    Cause.RELEASE_RP_PDU: {
        **_UNEXPECTED,
        State.AWAITING_RELEASE_RESPONSE: Action.CONFIRM_RELEASE_AND_CLOSE,
        State.COLLISION_ACCEPTOR_AWAITING_PEER: Action.CONFIRM_COLLISION_RELEASE,
        State.COLLISION_REQUESTOR_AWAITING_PEER: Action.CONFIRM_RELEASE_AND_CLOSE,
    },
    Cause.RELEASE_RESPONSE: {
        State.AWAITING_LOCAL_RELEASE_RESPONSE: Action.SEND_RELEASE_RESPONSE,
        State.COLLISION_REQUESTOR_AWAITING_LOCAL: Action.SEND_COLLISION_RESPONSE,
        State.COLLISION_ACCEPTOR_AWAITING_LOCAL: Action.SEND_RELEASE_RESPONSE,
    },
    Cause.ABORT_REQUEST: {
        State.AWAITING_LOCAL_ANSWER: Action.SEND_USER_ABORT,
        State.CONNECTING: Action.CLOSE,
        **dict.fromkeys(_IN_ASSOCIATION, Action.SEND_USER_ABORT),
    },
    Cause.ABORT_PDU: {
        State.AWAITING_REQUEST: Action.CLOSE,
        State.AWAITING_LOCAL_ANSWER: Action.INDICATE_ABORT,
        **dict.fromkeys(_IN_ASSOCIATION, Action.INDICATE_ABORT),
        State.AWAITING_CLOSE: Action.CLOSE,
    },
    Cause.CONNECTION_CLOSED: {
        State.AWAITING_REQUEST: Action.STOP_WAITING,
        State.AWAITING_LOCAL_ANSWER: Action.INDICATE_LOSS,
        State.CONNECTING: Action.INDICATE_LOSS,
        **dict.fromkeys(_IN_ASSOCIATION, Action.INDICATE_LOSS),
        State.AWAITING_CLOSE: Action.END,
    },
    Cause.ARTIM_EXPIRED: {
        State.AWAITING_REQUEST: Action.CLOSE,
        State.AWAITING_CLOSE: Action.CLOSE,
    },
    Cause.INVALID_PDU: {**_UNEXPECTED, State.AWAITING_CLOSE: Action.ANSWER_WITH_ABORT},
}

TABLE: Final[Mapping[tuple[Cause, State], Action]] = {
    (cause, state): action for cause, row in _ROWS.items() for state, action in row.items()
}

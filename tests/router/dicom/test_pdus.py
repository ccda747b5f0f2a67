"""PDUs to bytes and back: by ourselves, and judged by pynetdicom's encoder and decoder."""

import dataclasses

import pytest
from hypothesis import given
from pynetdicom import pdu as theirs

from router.dicom.errors import LocalProtocolError, RemoteProtocolError
from router.dicom.limits import Limits
from router.dicom.pdu_reader import read_pdu, unrecognized_pdu
from router.dicom.pdu_stream import Arrival, PduStream
from router.dicom.pdu_writer import write_pdu
from router.dicom.pdus import (
    AAbort,
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AReleaseRp,
    AReleaseRq,
    ItemType,
    PDataTf,
    Pdu,
    ProposedContext,
    UserIdentity,
    UserInformation,
)
from router.dicom.reasons import AbortReason
from router.dicom.receive_buffer import ReceiveBuffer
from tests.router.dicom.material import (
    CT,
    IMPLICIT,
    acceptances,
    control_pdus,
    data_pdus,
    request_for,
    requests,
)


def read_whole(data: bytes) -> Pdu:
    return read_pdu(data[0], data[6:], Limits())


class Wire:
    """A stream fed piece by piece."""

    def __init__(self) -> None:
        self.buffer = ReceiveBuffer()
        self.stream = PduStream(self.buffer, Limits())

    def feed(self, data: bytes) -> Arrival | None:
        rest = memoryview(data)
        while rest:
            space = self.buffer.free()[: len(rest)]
            space[:] = rest[: len(space)]
            self.buffer.added(len(space))
            rest = rest[len(space) :]
        return self.stream.advance()


@given(control_pdus)
def test_a_control_pdu_reads_back_whole_byte_by_byte_and_with_trailing_bytes(pdu: Pdu) -> None:
    data = write_pdu(pdu)
    whole = Wire()
    assert whole.feed(data) is Arrival.PDU
    assert whole.stream.pdu == pdu
    assert whole.stream.advance() is None

    piecewise = Wire()
    for index in range(len(data) - 1):
        assert piecewise.feed(data[index : index + 1]) is None
    assert piecewise.feed(data[-1:]) is Arrival.PDU
    assert piecewise.stream.pdu == pdu

    trailing = Wire()
    assert trailing.feed(data + write_pdu(AReleaseRp())) is Arrival.PDU
    assert trailing.stream.pdu == pdu
    assert trailing.stream.advance() is Arrival.PDU
    assert trailing.stream.pdu == AReleaseRp()


@given(data_pdus)
def test_a_data_pdu_reads_back(pdu: PDataTf) -> None:
    assert read_whole(write_pdu(pdu)) == pdu


@given(requests)
def test_pynetdicom_decodes_and_encodes_a_request_to_the_same_bytes(request: AAssociateRq) -> None:
    # It leaves out the secondary field, its length included, unless there is a passcode.
    with_passcode = UserIdentity(identity_type=2, primary=b"someone", secondary=b"secret")
    identity = request.user_information.user_identity and with_passcode
    information = dataclasses.replace(request.user_information, user_identity=identity)
    data = write_pdu(
        AAssociateRq(
            called_ae_title=request.called_ae_title or "B",
            calling_ae_title=request.calling_ae_title or "A",
            presentation_contexts=tuple(
                c for c in request.presentation_contexts if c.context_id % 2
            ),
            user_information=information,
        )
    )
    judge = theirs.A_ASSOCIATE_RQ()
    judge.decode(data)
    assert judge.encode() == data
    assert judge.user_information is not None
    assert judge.user_information.maximum_length == request.user_information.max_length


@given(acceptances)
def test_pynetdicom_decodes_and_encodes_an_acceptance_to_the_same_bytes(
    acceptance: AAssociateAc,
) -> None:
    # A user identity is a request's; it encodes one differently than it decodes it.
    information = dataclasses.replace(acceptance.user_information, user_identity=None)
    data = write_pdu(dataclasses.replace(acceptance, user_information=information))
    judge = theirs.A_ASSOCIATE_AC()
    judge.decode(data)
    assert judge.encode() == data


@given(data_pdus)
def test_pynetdicom_sees_the_same_fragments(pdu: PDataTf) -> None:
    judge = theirs.P_DATA_TF()
    judge.decode(write_pdu(pdu))
    fragments = [
        (value.context_id, value.presentation_data_value)
        for value in judge.presentation_data_value_items
    ]
    assert fragments == [
        (value.context_id, bytes([value.is_command | value.is_last << 1]) + value.data)
        for value in pdu.values
    ]


def test_pynetdicom_writes_what_we_read() -> None:
    judge = theirs.A_ABORT_RQ()
    judge.source, judge.reason_diagnostic = 2, 6
    assert read_whole(judge.encode()) == AAbort(source=2, reason=6)
    reject = theirs.A_ASSOCIATE_RJ()
    reject.result, reject.source, reject.reason_diagnostic = 2, 3, 1
    assert read_whole(reject.encode()) == AAssociateRj(result=2, source=3, reason=1)
    assert read_whole(theirs.A_RELEASE_RQ().encode()) == AReleaseRq()
    assert read_whole(theirs.A_RELEASE_RP().encode()) == AReleaseRp()


def test_the_bytes_of_the_short_pdus() -> None:
    assert write_pdu(AReleaseRq()).hex() == "05000000000400000000"
    assert write_pdu(AReleaseRp()).hex() == "06000000000400000000"
    assert write_pdu(AAbort(source=2, reason=1)).hex() == "07000000000400000201"
    rejection = AAssociateRj(result=1, source=1, reason=7)
    assert write_pdu(rejection).hex() == "03000000000400010107"


def test_unknown_items_and_reserved_bytes_are_skipped() -> None:
    request = request_for(CT)
    data = bytearray(write_pdu(request))
    unknown = bytes([0x99, 0xAA, 0, 3]) + b"abc"
    # Behind the fixed fields, and inside user information at the end.
    data[74:74] = unknown
    start = bytes(data).index(bytes([ItemType.USER_INFORMATION, 0]), 74)
    length = int.from_bytes(data[start + 2 : start + 4], "big")
    data[start + 2 : start + 4] = (length + len(unknown)).to_bytes(2, "big")
    data += unknown
    data[2:6] = (len(data) - 6).to_bytes(4, "big")
    data[1] = 0x55  # reserved
    data[42:74] = b"\xff" * 32  # reserved
    assert read_whole(bytes(data)) == request


def test_titles_lose_padding_of_any_kind() -> None:
    data = bytearray(write_pdu(request_for(CT)))
    data[10:26] = b"  ROUTER\0\0\0     "
    request = read_whole(bytes(data))
    assert isinstance(request, AAssociateRq)
    assert request.called_ae_title == "ROUTER"


def test_uids_lose_padding() -> None:
    request = request_for(CT)
    data = write_pdu(request)
    padded = data.replace(
        bytes([ItemType.ABSTRACT_SYNTAX, 0, 0, len(CT)]) + CT.encode(),
        bytes([ItemType.ABSTRACT_SYNTAX, 0, 0, len(CT)]) + CT.encode()[:-1] + b"\0",
    )
    read = read_whole(padded)
    assert isinstance(read, AAssociateRq)
    assert read.presentation_contexts[0].abstract_syntax == CT[:-1]


def test_a_user_identity_never_shows() -> None:
    identity = UserIdentity(identity_type=2, primary=b"someone", secondary=b"secret")
    assert "someone" not in repr(identity)
    assert "secret" not in repr(identity)


@pytest.mark.parametrize(
    "request_",
    [
        request_for("1" * 65536),
        AAssociateRq(
            called_ae_title="SEVENTEEN LETTERS",
            calling_ae_title="A",
            presentation_contexts=(),
            user_information=UserInformation(),
        ),
        AAssociateRq(
            called_ae_title="\N{GREEK SMALL LETTER ALPHA}",
            calling_ae_title="A",
            presentation_contexts=(),
            user_information=UserInformation(),
        ),
        request_for(CT, max_length=1 << 32),
        request_for(CT, user_identity=UserIdentity(identity_type=1, primary=bytes(65536))),
        AAssociateRq(
            called_ae_title="B",
            calling_ae_title="A",
            presentation_contexts=(
                ProposedContext(context_id=256, abstract_syntax=CT, transfer_syntaxes=(IMPLICIT,)),
            ),
            user_information=UserInformation(),
        ),
    ],
    ids=["long uid", "long title", "foreign title", "max length", "identity", "context id"],
)
def test_what_does_not_fit_is_our_mistake(request_: AAssociateRq) -> None:
    with pytest.raises(LocalProtocolError):
        write_pdu(request_)


def _request_with(contexts: int = 1, syntaxes: int = 1, first_id: int = 1) -> AAssociateRq:
    return AAssociateRq(
        called_ae_title="B",
        calling_ae_title="A",
        presentation_contexts=tuple(
            ProposedContext(
                context_id=(first_id + number) % 256,
                abstract_syntax=CT,
                transfer_syntaxes=(IMPLICIT,) * syntaxes,
            )
            for number in range(contexts)
        ),
        user_information=UserInformation(),
    )


def test_limits_are_inclusive() -> None:
    for request in (_request_with(contexts=128), _request_with(syntaxes=256)):
        assert read_whole(write_pdu(request)) == request


def _cut(data: bytes, cut: int) -> bytes:
    return data[:-cut]


def _without_user_information(request: AAssociateRq) -> bytes:
    data = write_pdu(request)
    return data[: data.index(bytes([ItemType.USER_INFORMATION, 0]), 74)]


@pytest.mark.parametrize(
    ("first", "words"),
    [(b"HTTP/1.1 400 Bad", "HTTP"), (b"GET / HTTP/1.1\r\n", "HTTP"), (b"\x16\x03\x01\x02", "TLS")],
)
def test_another_protocol_is_called_by_its_name(first: bytes, words: str) -> None:
    with pytest.raises(RemoteProtocolError, match=words):
        raise unrecognized_pdu(first[0])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (write_pdu(_request_with(contexts=129)), AbortReason.INVALID_PARAMETER_VALUE),
        (write_pdu(_request_with(syntaxes=257)), AbortReason.INVALID_PARAMETER_VALUE),
        (write_pdu(_request_with())[:40], AbortReason.INVALID_PARAMETER_VALUE),
        (_cut(write_pdu(_request_with()), 3), AbortReason.INVALID_PARAMETER_VALUE),
        (_without_user_information(_request_with()), AbortReason.INVALID_PARAMETER_VALUE),
        (write_pdu(request_for(CT, max_length=7)), AbortReason.INVALID_PARAMETER_VALUE),
        (write_pdu(request_for(CT, max_length=1)), AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x03\0\0\0\0\x02\0\x01", AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x07\0\0\0\0\0", AbortReason.INVALID_PARAMETER_VALUE),
        (b"\x08\0\0\0\0\0", AbortReason.UNRECOGNIZED_PDU),
    ],
    ids=[
        "too many contexts",
        "too many syntaxes",
        "inside the titles",
        "inside an item",
        "no user information",
        "no room for data",
        "no room at all",
        "short reject",
        "short abort",
        "unknown type",
    ],
)
def test_what_is_wrong_is_theirs(data: bytes, reason: AbortReason) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        read_whole(data)
    assert caught.value.abort_source == 2
    assert caught.value.abort_reason == reason


def test_an_identifier_used_twice_is_refused() -> None:
    request = _request_with(contexts=2)
    first = request.presentation_contexts[0]
    twice = AAssociateRq(
        called_ae_title="B",
        calling_ae_title="A",
        presentation_contexts=(first, first),
        user_information=UserInformation(),
    )
    with pytest.raises(RemoteProtocolError, match="twice"):
        read_whole(write_pdu(twice))


def test_too_many_items_of_user_information_are_refused() -> None:
    data = bytearray(_without_user_information(_request_with()))
    items = b"\x99\0\0\0" * 513
    data += bytes([ItemType.USER_INFORMATION, 0]) + len(items).to_bytes(2, "big") + items
    with pytest.raises(RemoteProtocolError, match="more than 512 items"):
        read_whole(bytes(data))


def test_too_many_items_of_any_kind_are_refused() -> None:
    data = write_pdu(_request_with())
    assert read_whole(data + b"\x99\0\0\0" * 253) == _request_with()
    with pytest.raises(RemoteProtocolError, match="more than 256 items"):
        read_whole(data + b"\x99\0\0\0" * 254)


def test_user_information_comes_once() -> None:
    data = write_pdu(_request_with())
    information = data[len(_without_user_information(_request_with())) :]
    with pytest.raises(RemoteProtocolError, match="two user information"):
        read_whole(data + information)

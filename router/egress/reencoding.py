"""An object in the transfer syntax its peer takes: as stored, else re-encoded or decompressed.

Native pixel data is handed on by reference, and only the header is written anew. Encapsulated
pixel data is decompressed; the copy is kept for other destinations that take nothing else either.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from router.egress import outcomes
from router.egress.contexts import Choice
from router.egress.payloads import Payload, PayloadUnusable, part_of
from router.ledger import LeasedDelivery
from router.net.data_source import DataSource, FileSlice, Piece
from router.store import mapped
from router.transcoding.copies import Copies
from router.transcoding.errors import CannotTranscode, NoCodecs
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, Slice
from rules.encoded.reencode import CannotReencode, reencode
from rules.encoded.transfer_syntaxes import KNOWN, is_native


@contextmanager
def encoded(
    payload: Payload, delivery: LeasedDelivery, choices: Sequence[Choice], copies: Copies | None
) -> Iterator[tuple[Choice, DataSource]]:
    """The data set for the first of the choices that it can go out by; PayloadUnusable if none.

    Without `copies` nothing is decompressed.
    """
    stored = delivery.transfer_syntax_uid
    for choice in choices:
        if choice.transfer_syntax_uid == stored:
            yield choice, payload.data
            return
    choice = choices[0]
    if copies is not None and stored in KNOWN and not is_native(stored):
        with _decompressed(payload, delivery, choice, copies) as copy:
            yield choice, copy
        return
    # Mapped, since of a large object only the header's pages are ever touched.
    with mapped(payload.file) as content:
        try:
            data_set = EncodedDataSet.read(content, stored, delivery.data_set_offset)
            pieces = reencode(data_set, choice.transfer_syntax_uid)
        except CannotReencode as error:
            raise _held("no_transfer_syntax_accepted", error) from None
        except MalformedDataSet as error:
            raise _held("data_set_malformed", error) from None
        stands_in_file = data_set.source is content  # a deflated one was inflated into memory
        with ExitStack() as views:
            data: list[Piece] = []
            for piece in pieces:
                if not isinstance(piece, Slice):
                    data.append(piece)
                elif stands_in_file:
                    data.append(part_of(payload.file, piece.offset, piece.length))
                else:
                    view = data_set.view(piece.offset, piece.length)
                    data.append(views.enter_context(view))
            yield choice, data


@contextmanager
def _decompressed(
    payload: Payload, delivery: LeasedDelivery, choice: Choice, copies: Copies
) -> Iterator[FileSlice]:
    with ExitStack() as stack:
        try:
            content = stack.enter_context(mapped(payload.file))
            data_set = EncodedDataSet.read(
                content, delivery.transfer_syntax_uid, delivery.data_set_offset
            )
            key = delivery.payload_id, choice.transfer_syntax_uid
            copy = stack.enter_context(copies.copy(key, data_set))
        except CannotTranscode as error:
            raise _held("transcoding_failed", error) from None
        except MalformedDataSet as error:
            raise _held("data_set_malformed", error) from None
        except NoCodecs as error:
            raise PayloadUnusable(outcomes.retry("codecs_unavailable", str(error))) from None
        except OSError as error:
            words = f"no place for a decompressed copy: {error.strerror}"
            raise PayloadUnusable(outcomes.retry("codecs_unavailable", words)) from None
        yield copy


def _held(reason: str, error: Exception) -> PayloadUnusable:
    return PayloadUnusable(outcomes.hold(reason, f"it cannot be re-encoded: {error}"))

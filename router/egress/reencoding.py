"""An object in the transfer syntax its peer takes: as stored, else with its header written anew.

Pixel data is handed on by reference. Encapsulated pixel data cannot be re-encoded so: until the
router transcodes, such a delivery is held.
"""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from router.egress import outcomes
from router.egress.contexts import Choice
from router.egress.payloads import Payload, PayloadUnusable
from router.ledger import LeasedDelivery
from router.net.data_source import DataSource, FileSlice
from rules.encoded import EncodedDataSet, MalformedDataSet, Slice
from rules.reencode import CannotReencode, reencode


@contextmanager
def encoded(
    payload: Payload, delivery: LeasedDelivery, choices: Sequence[Choice]
) -> Iterator[tuple[Choice, DataSource]]:
    """The data set for the first of the choices that it can go out by; PayloadUnusable if none."""
    stored = delivery.transfer_syntax_uid
    for choice in choices:
        if choice.transfer_syntax_uid == stored:
            yield choice, payload.data
            return
    choice = choices[0]
    # Mapped, since of a large object only the header's pages are ever touched.
    with mmap.mmap(payload.file.fd, 0, prot=mmap.PROT_READ) as mapped:
        try:
            data_set = EncodedDataSet.read(mapped, stored, delivery.data_set_offset)
            pieces = reencode(data_set, choice.transfer_syntax_uid)
        except CannotReencode as error:
            raise _held("no_transfer_syntax_accepted", error) from None
        except MalformedDataSet as error:
            raise _held("data_set_malformed", error) from None
        stands_in_file = data_set.source is mapped  # a deflated one was inflated into memory
        with ExitStack() as views:
            data: list[bytes | memoryview | FileSlice] = []
            for piece in pieces:
                if not isinstance(piece, Slice):
                    data.append(piece)
                elif stands_in_file:
                    data.append(FileSlice(payload.file.fd, piece.offset, piece.length))
                else:
                    view = data_set.view(piece.offset, piece.length)
                    data.append(views.enter_context(view))
            yield choice, data


def _held(reason: str, error: Exception) -> PayloadUnusable:
    return PayloadUnusable(outcomes.hold(reason, f"it cannot be re-encoded: {error}"))

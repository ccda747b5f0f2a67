"""The bytes of a delivery: opened, checked, and in the transfer syntax the peer takes.

An object that goes out as it is stored goes out byte for byte, by reference to the stored file.
Only headers are ever written anew, and only where the peer takes nothing else (PS3.5 10.1).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import xxhash

from router.egress import outcomes
from router.egress.outcomes import Outcome
from router.ledger import LeasedDelivery
from router.net.data_source import FileSlice
from router.store import Store, StoredFile

BLOCK = 1 << 20


class PayloadUnusable(Exception):
    """The object cannot be sent; `outcome` says why and what becomes of the delivery."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.words)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Payload:
    """An open stored object. `data` is its data set as stored."""

    file: StoredFile
    data: FileSlice


@contextmanager
def opened(store: Store, delivery: LeasedDelivery) -> Iterator[Payload]:
    """The stored object of a delivery; PayloadUnusable if it is not what the ledger knows.

    Its length is always compared; its checksum where an earlier attempt failed, since damage may
    have been the cause and the path of a first attempt has no time to read an object twice.
    """
    try:
        file = store.open(delivery.payload_id)
    except FileNotFoundError:
        words = "the object's file is not in the store"
        raise PayloadUnusable(outcomes.hold("payload_missing", words)) from None
    except OSError as error:
        raise _unreadable(error) from None
    with file:
        if file.size != delivery.data_set_offset + delivery.size:
            words = "the object's file does not have its length"
            raise PayloadUnusable(outcomes.hold("payload_damaged", words))
        payload = Payload(file, FileSlice(file.fd, delivery.data_set_offset, delivery.size))
        if delivery.attempts:
            verify(payload, delivery)
        yield payload


def verify(payload: Payload, delivery: LeasedDelivery) -> None:
    """Read the data set and compare its checksum; PayloadUnusable if it differs."""
    digest = xxhash.xxh3_128()
    for block in blocks(payload):
        digest.update(block)
    if digest.hexdigest() != delivery.checksum:
        raise damaged()


def damaged() -> PayloadUnusable:
    words = "the object's bytes do not have their checksum"
    return PayloadUnusable(outcomes.hold("payload_damaged", words))


def blocks(payload: Payload) -> Iterator[bytes]:
    """The data set as stored, in blocks of 1 MiB, so that memory does not grow with an object."""
    offset, end = payload.data.offset, payload.data.offset + payload.data.length
    while offset < end:
        try:
            block = payload.file.read_at(offset, min(BLOCK, end - offset))
        except OSError as error:
            raise _unreadable(error) from None
        if not block:
            raise damaged()
        yield block
        offset += len(block)


def _unreadable(error: OSError) -> PayloadUnusable:
    words = f"the object's file cannot be read: {error.strerror}"
    return PayloadUnusable(outcomes.retry("payload_unreadable", words))

"""The bytes of a delivery: opened, checked, and in the transfer syntax the peer takes.

An object that goes out as it is stored goes out byte for byte, by reference to the stored file.
Only headers are ever written anew, and only where the peer takes nothing else (PS3.5 10.1).

A file of a local store is compared with its checksum after a failure. One that comes over the
network is compared each time: a short one before it is sent, a long one while it is, and its last
block leaves only when all before it were right. No peer ever has a damaged object whole.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import xxhash

from router.egress import outcomes
from router.egress.outcomes import Outcome
from router.ledger import LeasedDelivery
from router.logs import get_logger
from router.net.data_source import FileSlice, Piece, Stream
from router.store import Bytes, Closing, Store, StoredFile, StoreUnavailable

log = get_logger("egress")


REMOTE_BLOCK = 4 << 20
"""An object from afar that is no longer is read by one request, and compared before it is sent."""


class PayloadUnusable(Exception):
    """The object cannot be sent; `outcome` says why and what becomes of the delivery.

    `away`: the store is, so that nothing is known of the object and nobody is to be charged.
    """

    def __init__(self, outcome: Outcome, *, away: bool = False) -> None:
        super().__init__(outcome.words)
        self.outcome = outcome
        self.away = away


class Damaged(OSError):
    """The bytes that came are not those that the ledger knows."""


@dataclass(frozen=True, slots=True)
class Payload:
    """An open stored object. `data` is its data set as stored: `length` bytes from `offset`."""

    file: StoredFile
    data: Piece
    offset: int
    length: int


@contextmanager
def opened(store: Store, delivery: LeasedDelivery) -> Iterator[Payload]:
    """The stored object of a delivery; PayloadUnusable if it is not what the ledger knows.

    Its length is always compared. The checksum of a local file only where an earlier attempt
    failed: damage may have been the cause, and a first attempt has no time to read it twice.
    """
    try:
        file = store.open(delivery.payload_id)
    except FileNotFoundError:
        words = "the object's file is not in the store"
        raise PayloadUnusable(outcomes.hold("payload_missing", words)) from None
    except OSError as error:
        raise _unreadable(error) from None
    with file:
        offset, length = delivery.data_set_offset, delivery.size
        if file.size != offset + length:
            words = "the object's file does not have its length"
            raise PayloadUnusable(outcomes.hold("payload_damaged", words))
        if file.is_local:
            payload = Payload(file, part_of(file, offset, length), offset, length)
            if delivery.attempts:
                verify(payload, delivery)
        else:
            payload = _from_afar(file, delivery)
        yield payload


def part_of(file: StoredFile, offset: int, length: int) -> Piece:
    """A range of an object on this machine, by reference."""
    if file.content is not None:
        return file.content[offset : offset + length]
    return FileSlice(file.fd, offset, length)


def _from_afar(file: StoredFile, delivery: LeasedDelivery) -> Payload:
    offset, length = delivery.data_set_offset, delivery.size

    def checked() -> Iterator[Bytes]:
        digest = xxhash.xxh3_128()
        last: Bytes = b""
        for block in file.blocks(offset, length):
            digest.update(block)
            if last:
                yield last
            last = block
        if digest.hexdigest() != delivery.checksum:
            raise Damaged(errno.EIO, "its bytes do not have their checksum")
        yield last

    payload = Payload(CheckedFile(file, delivery), Stream(length, checked), offset, length)
    if delivery.attempts or file.size <= REMOTE_BLOCK:
        verify(payload, delivery)
    return payload


class CheckedFile(Closing):
    """A file from afar. Who wants it whole, on this machine, gets it only if it is sound."""

    is_local = False
    content = None

    def __init__(self, file: StoredFile, delivery: LeasedDelivery) -> None:
        self._file = file
        self._delivery = delivery
        self._sound = False
        self.size = file.size

    @property
    def fd(self) -> int:
        try:
            fd = self._file.fd
        except OSError as error:
            raise _unreadable(error) from None
        if not self._sound:
            delivery = self._delivery
            digest = xxhash.xxh3_128()
            for block in self._file.blocks(delivery.data_set_offset, delivery.size):
                digest.update(block)
            if digest.hexdigest() != delivery.checksum:
                raise damaged(delivery)
            self._sound = True
        return fd

    def fileno(self) -> int:
        return self.fd

    def read_at(self, offset: int, length: int) -> bytes:
        return self._file.read_at(offset, length)

    def blocks(self, offset: int, length: int) -> Iterator[Bytes]:
        return self._file.blocks(offset, length)

    def close(self) -> None:
        self._file.close()


def verify(payload: Payload, delivery: LeasedDelivery) -> None:
    """Read the data set and compare its checksum; PayloadUnusable if it differs."""
    digest = xxhash.xxh3_128()
    for block in blocks(payload):
        digest.update(block)
    if digest.hexdigest() != delivery.checksum:
        raise damaged(None if payload.file.is_local else delivery)


def damaged(delivery: LeasedDelivery | None = None) -> PayloadUnusable:
    """What becomes of it. With `delivery`: its bytes came over a network, which may have spoiled
    them, so that one failure proves nothing."""
    words = "the object's bytes do not have their checksum"
    if delivery is not None and not delivery.attempts:
        return PayloadUnusable(outcomes.retry("payload_unreadable", words, few_attempts=True))
    return PayloadUnusable(outcomes.hold("payload_damaged", words))


def blocks(payload: Payload) -> Iterator[Bytes]:
    """The data set as stored, block by block, so that memory does not grow with an object."""
    left = payload.length
    try:
        for block in payload.file.blocks(payload.offset, payload.length):
            left -= len(block)
            yield block
    except OSError as error:
        raise _unreadable(error) from None
    if left:
        raise damaged()


def _unreadable(error: OSError) -> PayloadUnusable:
    if isinstance(error, StoreUnavailable):
        log.warning("store away; deliveries wait", reason=error.strerror)
        words = f"the store is away: {error.strerror}"
        return PayloadUnusable(outcomes.retry("store_unavailable", words), away=True)
    words = f"the object's file cannot be read: {error.strerror}"
    return PayloadUnusable(outcomes.retry("payload_unreadable", words))

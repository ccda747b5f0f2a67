"""Keeps the bytes: a port, and stores behind it."""

from router.store.directory import DirectoryStore
from router.store.heads import HEAD_BYTES, Heads
from router.store.ids import bucket_of, is_object_id, new_object_id
from router.store.memory import MemoryStore
from router.store.port import (
    BLOCK,
    Bytes,
    Closing,
    LocalFile,
    Store,
    StoredFile,
    StoreUnavailable,
    Writer,
)
from router.store.spool import Spool

__all__ = [
    "BLOCK",
    "Bytes",
    "Closing",
    "HEAD_BYTES",
    "DirectoryStore",
    "Heads",
    "LocalFile",
    "MemoryStore",
    "Spool",
    "Store",
    "StoreUnavailable",
    "StoredFile",
    "Writer",
    "bucket_of",
    "is_object_id",
    "new_object_id",
]

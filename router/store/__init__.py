"""Keeps the bytes: a port, and stores behind it."""

from router.store.directory import DirectoryStore
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
    mapped,
)
from router.store.recent import Recent
from router.store.spool import Spool

__all__ = [
    "BLOCK",
    "Bytes",
    "Closing",
    "DirectoryStore",
    "LocalFile",
    "MemoryStore",
    "Recent",
    "Spool",
    "Store",
    "StoreUnavailable",
    "StoredFile",
    "Writer",
    "bucket_of",
    "is_object_id",
    "mapped",
    "new_object_id",
]

"""Keeps the bytes: a port, and stores behind it."""

from .directory import DirectoryStore
from .ids import bucket_of, is_object_id, made_at, new_object_id
from .memory import MemoryStore
from .port import Bytes, Store, StoredFile, Writer
from .spool import Spool

__all__ = [
    "Bytes",
    "DirectoryStore",
    "MemoryStore",
    "Spool",
    "Store",
    "StoredFile",
    "Writer",
    "bucket_of",
    "is_object_id",
    "made_at",
    "new_object_id",
]

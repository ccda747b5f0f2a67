"""What `send` has to send: files found, their headers read, and the associations they need.

Only file meta information is read; what is no object is told apart, never guessed at.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from router.dicom.errors import NotPart10, Part10Error, TruncatedMeta
from router.dicom.part10 import FileMeta, read_file_meta
from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import MEDIA_STORAGE_DIRECTORY, is_valid_uid

MOST_CONTEXTS: Final = 128
"""Presentation context identifiers are odd bytes (PS3.8 9.3.2.2)."""

_HEAD: Final = 4096
_LONG_HEAD: Final = 256 * 1024

Pair: TypeAlias = tuple[str, str]
"""A SOP class and a transfer syntax."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object in a file: `size` bytes of data set from `offset` on."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    offset: int
    size: int

    @property
    def pair(self) -> Pair:
        return self.sop_class_uid, self.transfer_syntax_uid


class Unsendable(Exception):
    """This file is no object; `reason` is a bounded word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Items that one association can carry, and the pairs to propose for them."""

    pairs: tuple[Pair, ...]
    items: tuple[Item, ...]


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given, and those in folders at any depth, in order of their names."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names))


def read_item(path: Path) -> Item:
    """The object in a file; Unsendable when there is none."""
    try:
        with path.open("rb", buffering=0) as file:
            meta, offset = _read_meta(file.fileno())
            size = os.fstat(file.fileno()).st_size - offset
    except NotPart10 as error:
        raise Unsendable("not_dicom", "not a DICOM file") from error
    except Part10Error as error:
        raise Unsendable("bad_meta", str(error)) from error
    except OSError as error:
        raise Unsendable("unreadable", error.strerror or "cannot be read") from error
    if meta.media_storage_sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        raise Unsendable("directory", "a DICOMDIR, which is no object")
    for uid in (meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid):
        if not is_valid_uid(uid):
            raise Unsendable("bad_meta", "no SOP class or instance in the file meta information")
    return Item(
        path=path,
        sop_class_uid=meta.media_storage_sop_class_uid,
        sop_instance_uid=meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        offset=offset,
        size=size,
    )


def groups(items: Iterable[Item], most: int = MOST_CONTEXTS) -> list[Group]:
    """All items, in as few groups as their pairs need; order is kept within a group."""
    by_pair: dict[Pair, int] = {}
    parts: dict[int, list[Item]] = {}
    for item in items:
        number = by_pair.setdefault(item.pair, len(by_pair)) // most
        parts.setdefault(number, []).append(item)
    pairs = list(by_pair)
    return [
        Group(pairs=tuple(pairs[number * most : (number + 1) * most]), items=tuple(part))
        for number, part in sorted(parts.items())
    ]


def request_for(pairs: Sequence[Pair], *, calling: str, called: str) -> AAssociateRq:
    """A request with one presentation context for each pair, so that the choice stays ours."""
    return AAssociateRq(
        called_ae_title=called,
        calling_ae_title=calling,
        presentation_contexts=tuple(
            ProposedContext(
                context_id=2 * index + 1,
                abstract_syntax=sop_class_uid,
                transfer_syntaxes=(transfer_syntax_uid,),
            )
            for index, (sop_class_uid, transfer_syntax_uid) in enumerate(pairs)
        ),
        user_information=UserInformation(max_length=1024 * 1024),
    )


def _read_meta(fd: int) -> tuple[FileMeta, int]:
    try:
        return read_file_meta(os.pread(fd, _HEAD, 0))
    except TruncatedMeta:
        return read_file_meta(os.pread(fd, _LONG_HEAD, 0))

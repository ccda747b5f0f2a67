"""De-identified objects are looked through before they may leave, where their profile says so.

Their bytes for what the original says, their pictures for text.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from router.ledger import DerivedObject
from router.routing.derive import derive
from router.store import Spool, mapped
from router.transcoding.errors import CannotTranscode
from router.transcoding.looking import find_text
from router.transcoding.transcoder import Transcoder
from rules.deid.engine import Refused
from rules.deid.profile import Profile
from rules.deid.scan import findings
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet

SAMPLE = 20
"""With `verify: sample`, one object in so many; the same ones in every process."""
_TOLD = 3


def derive_verified(
    spool: Spool,
    transcoder: Transcoder,
    original: EncodedDataSet,
    edited: Edited,
    profile: Profile | None,
) -> DerivedObject:
    """Put the edited object into the store, and take it out again if something of the original is
    found in its bytes, or text in its pictures: Refused, which names attributes and no values.
    Else as `derive`."""
    derived = derive(spool, transcoder, original, edited)
    if profile is None:
        return derived
    try:
        if _is_checked(profile, derived.sop_instance_uid):
            _verify(spool, original, derived, profile)
        if profile.detect_text != "off":
            _look(spool, transcoder, derived, every_frame=profile.detect_text == "every frame")
    except BaseException:
        spool.store.delete([derived.id])
        spool.settled([derived.id])
        raise
    return derived


def _is_checked(profile: Profile, sop_instance_uid: str) -> bool:
    if profile.verify == "sample":
        return zlib.crc32(sop_instance_uid.encode()) % SAMPLE == 0
    return profile.verify == "all"


def _verify(
    spool: Spool, original: EncodedDataSet, derived: DerivedObject, profile: Profile
) -> None:
    with _opened(spool, derived) as result:
        found = findings(original, result, options=profile.options, keep=profile.keep)
    if found:
        told = "; ".join(list(dict.fromkeys(map(str, found)))[:_TOLD])
        raise Refused(f"the check found {told}")


def _look(
    spool: Spool, transcoder: Transcoder, derived: DerivedObject, *, every_frame: bool
) -> None:
    """Pictures as they would leave: what is black already is not found."""
    with _opened(spool, derived) as result:
        try:
            found = find_text(transcoder.processes, result, every_frame=every_frame)
        except CannotTranscode as error:
            raise Refused(f"its pictures cannot be searched for text: {error}") from None
    if found is not None:
        raise Refused(f"there is text in its picture, frame {found.frame}")


@contextmanager
def _opened(spool: Spool, derived: DerivedObject) -> Iterator[EncodedDataSet]:
    with spool.store.open(derived.id) as file, mapped(file) as content:
        yield EncodedDataSet.read(
            content, derived.transfer_syntax_uid, offset=derived.data_set_offset
        )

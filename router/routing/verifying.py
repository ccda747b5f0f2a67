"""De-identified objects are looked through before they may leave, where their profile says so."""

from __future__ import annotations

import mmap
import zlib
from contextlib import suppress

from router.ledger import DerivedObject
from router.routing.derive import derive
from router.store import Spool
from router.transcoding.transcoder import Transcoder
from rules.deid.engine import Refused
from rules.deid.profile import Profile
from rules.deid.scan import findings
from rules.edits import Edited
from rules.encoded import EncodedDataSet

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
    found in its bytes: Refused, which names attributes and no values. Else as `derive`."""
    derived = derive(spool, transcoder, original, edited)
    if profile is None or not _is_checked(profile, derived.sop_instance_uid):
        return derived
    try:
        _verify(spool, original, derived, profile)
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
    with spool.store.open(derived.id) as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        result = EncodedDataSet.read(
            content, derived.transfer_syntax_uid, offset=derived.data_set_offset
        )
        try:
            found = findings(original, result, options=profile.options, keep=profile.keep)
        finally:
            with suppress(BufferError):
                content.close()
    if found:
        told = "; ".join(list(dict.fromkeys(map(str, found)))[:_TOLD])
        raise Refused(f"the check found {told}")

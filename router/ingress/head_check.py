"""Does the data set belong to the command that announced it?

Looks at the first bytes only, as they come from the network: (0008,0016) and (0008,0018) stand
near the start of every composite object (PS3.3 C.12.1). What is missing there is not missed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from router.dicom.uids import DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
from router.ingress.answers import CLASS_MISMATCH, INSTANCE_MISMATCH, MALFORMED, Answer
from rules.encoded import EncodedDataSet, MalformedDataSet
from rules.tags import parse_path

HEAD_BYTES = 4096
"""Group 0008 begins the data set; its UIDs lie within the first few hundred bytes."""

_SOP_CLASS_UID = parse_path("SOPClassUID")
_SOP_INSTANCE_UID = parse_path("SOPInstanceUID")


def check_head(
    fragments: Sequence[memoryview],
    *,
    transfer_syntax_uid: str,
    sop_class_uid: str,
    sop_instance_uid: str,
) -> Answer | None:
    """A refusal, or None where the first fragments contradict nothing that the command said."""
    if transfer_syntax_uid == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        return None
    head = (
        b"".join(fragments)[:HEAD_BYTES]
        if len(fragments[0]) < HEAD_BYTES
        else bytes(fragments[0][:HEAD_BYTES])
    )
    data_set = EncodedDataSet.read(head, transfer_syntax_uid)
    try:
        found_class = data_set.values(_SOP_CLASS_UID)
        found_instance = data_set.values(_SOP_INSTANCE_UID)
    except MalformedDataSet as error:
        # Cut off by our own limit is fine; an object whose first element makes no sense is not.
        return MALFORMED if error.offset == 0 else None
    if found_class and found_class != (sop_class_uid,):
        return CLASS_MISMATCH
    if found_instance and found_instance != (sop_instance_uid,):
        return INSTANCE_MISMATCH
    return None

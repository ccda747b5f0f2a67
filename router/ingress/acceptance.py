"""What a listener agrees to: Verification and Storage, every transfer syntax as it is sent."""

from __future__ import annotations

from collections.abc import Collection

from router.config import Listener
from router.dicom.negotiation import (
    Acceptance,
    any_storage,
    requestor_is_scu,
    standard_storage,
)


def acceptance_for(listener: Listener, services: Collection[str] = ()) -> Acceptance:
    """The listener's side of a negotiation; objects are stored as they come, never decoded.

    `services`: further SOP classes, whose requestor may be SCU or SCP."""
    storage = any_storage if listener.sop_classes == "any" else standard_storage
    return Acceptance(
        abstract_syntaxes=lambda uid: uid in services or storage(uid),
        roles=lambda uid: (True, True) if uid in services else requestor_is_scu(uid),
        max_length=listener.max_pdu_length,
    )

"""What a listener agrees to: Verification and Storage, every transfer syntax as it is sent."""

from __future__ import annotations

from router.config import Listener
from router.dicom.negotiation import Acceptance, any_storage, standard_storage


def acceptance_for(listener: Listener) -> Acceptance:
    """The listener's side of a negotiation; objects are stored as they come, never decoded."""
    return Acceptance(
        abstract_syntaxes=any_storage if listener.sop_classes == "any" else standard_storage,
        max_length=listener.max_pdu_length,
    )

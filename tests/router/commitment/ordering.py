"""A modality that asks the router to commit, and hangs up."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from router.commitment.calling import Peer, call
from router.commitment.data_sets import TRANSFER_SYNTAXES, encode_request
from router.config import DestinationTimeouts
from router.dicom.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)

CT = "1.2.840.10008.5.1.4.1.1.2"


def new_transaction() -> str:
    return f"2.25.{uuid.uuid4().int}"


def order(port: int, uids: Sequence[str], transaction: str | None = None) -> str:
    """Ask for these CT slices; the transaction UID."""
    transaction = transaction or new_transaction()
    peer = Peer(
        host="127.0.0.1",
        port=port,
        called_ae_title="ROUTER",
        calling_ae_title="CT01",
        timeouts=DestinationTimeouts(),
    )
    push = STORAGE_COMMITMENT_PUSH_MODEL
    with call(peer, push, TRANSFER_SYNTAXES) as association:
        (context,) = association.contexts.values()
        response = association.action(
            context.context_id,
            sop_class_uid=push,
            sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
            action_type_id=1,
            data=encode_request(transaction, [(uid, CT) for uid in uids], context.transfer_syntax),
        )
    assert response.status == 0
    return transaction

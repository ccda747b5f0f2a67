"""Modalities that ask us to commit: answered here, or refused with the right status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.commitment.calling import Peer, call
from router.commitment.data_sets import TRANSFER_SYNTAXES, encode_request, read_transaction
from router.config import DestinationTimeouts
from router.dicom.commands import Command, NEventReportRq, NEventReportRsp
from router.dicom.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from router.net.requestor import OutgoingAssociation
from tests.router.commitment.test_asking import Surroundings

PUSH, WELL_KNOWN = STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
CT = "1.2.840.10008.5.1.4.1.1.2"


class Modality:
    """Asks, and stays to hear the report."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[int, frozenset[str], dict[str, int]]] = []
        self.association: OutgoingAssociation = call(
            Peer(
                host="127.0.0.1",
                port=port,
                called_ae_title="ROUTER",
                calling_ae_title="CT01",
                timeouts=DestinationTimeouts(),
            ),
            PUSH,
            TRANSFER_SYNTAXES,
            serve=self._hear,
        )
        (self.context,) = self.association.contexts.values()

    def _hear(self, context_id: int, command: Command, data: bytes) -> Command:
        assert isinstance(command, NEventReportRq)
        told = read_transaction(data, self.context.transfer_syntax)
        self.heard.append((command.event_type_id, frozenset(told.references), dict(told.failures)))
        return NEventReportRsp(message_id_being_responded_to=command.message_id, status=0)

    def ask(self, data: bytes, *, action: int = 1, instance: str = WELL_KNOWN) -> int:
        response = self.association.action(
            self.context.context_id,
            sop_class_uid=PUSH,
            sop_instance_uid=instance,
            action_type_id=action,
            data=data,
        )
        return response.status

    def request(self, uid: str, *items: str, sop_class: str = CT) -> bytes:
        pairs = [(one, sop_class) for one in items]
        return encode_request(uid, pairs, self.context.transfer_syntax)


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(tmp_path)
    made.listener.start()
    yield made
    made.listener.close()
    made.ledger.dispose()


@pytest.fixture
def modality(around: Surroundings) -> Iterator[Modality]:
    made = Modality(around.listener.port)
    yield made
    made.association.release()


def test_who_stays_hears_at_once_what_we_have(around: Surroundings, modality: Modality) -> None:
    (object_id,) = around.story.receive()
    uid = around.uid(object_id)
    assert modality.ask(modality.request("2.25.1", uid)) == 0
    modality.association.listen(1.0)
    assert modality.heard == [(1, frozenset({uid}), {})]


def test_another_class_is_a_conflict(around: Surroundings, modality: Modality) -> None:
    (object_id,) = around.story.receive()
    uid = around.uid(object_id)
    assert modality.ask(modality.request("2.25.1", uid, sop_class="1.2.3")) == 0
    modality.association.listen(1.0)
    assert modality.heard == [(2, frozenset(), {uid: 0x0119})]


def test_what_is_no_request_is_refused_and_the_association_lives(modality: Modality) -> None:
    good = modality.request("2.25.1", "2.25.2")
    assert modality.ask(good, action=2) == 0x0123
    assert modality.ask(good, instance="1.2.3") == 0x0112
    assert modality.ask(b"nonsense") == 0x0115
    assert modality.ask(modality.request("2.25.1")) == 0x0115
    assert modality.ask(modality.request("2.25.01", "2.25.2")) == 0x0115
    assert modality.ask(good) == 0
    assert modality.ask(good) == 0
    assert modality.ask(modality.request("2.25.1", "2.25.3")) == 0x0115

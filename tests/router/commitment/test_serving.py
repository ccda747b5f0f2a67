"""Modalities that ask us to commit: answered here, or refused with the right status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from router.commitment.calling import Peer, call
from router.commitment.data_sets import TRANSFER_SYNTAXES, encode_request, read_transaction
from router.commitment.reporting import attend
from router.config import DestinationTimeouts, ModalityCommitment
from router.dicom.commands import Command, NEventReportRq, NEventReportRsp
from router.dicom.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from router.ledger import commitments, proofs
from router.ledger.models_commitment import COMMITMENT_ORDERS
from router.net.requestor import OutgoingAssociation
from tests.programs import wait_until
from tests.router.commitment.test_asking import Surroundings

PUSH, WELL_KNOWN = STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
CT = "1.2.840.10008.5.1.4.1.1.2"


class Modality:
    """Asks, and stays to hear the report."""

    def __init__(self, port: int, calling: str = "CT01") -> None:
        self.heard: list[tuple[int, frozenset[str], dict[str, int]]] = []
        self.answer_with = 0
        self.association: OutgoingAssociation = call(
            Peer(
                host="127.0.0.1",
                port=port,
                called_ae_title="ROUTER",
                calling_ae_title=calling,
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
        status = self.answer_with
        return NEventReportRsp(message_id_being_responded_to=command.message_id, status=status)

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


def promised(around: Surroundings, policy: str = "any") -> None:
    """What modalities are promised rests on destinations."""
    around.site = around.site.model_copy(update={"commitment": ModalityCommitment(policy=policy)})


def commit(around: Surroundings) -> None:
    """The destination keeps all that it was asked for."""
    with around.ledger.write() as connection:
        asked = commitments.outstanding(connection, "pacs", limit=9)
        proofs.commit(connection, asked)


def states(around: Surroundings) -> list[str]:
    with around.ledger.read() as connection:
        rows = connection.execute(select(COMMITMENT_ORDERS.c.state).order_by(text("id")))
        return [row[0] for row in rows]


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


def test_who_stays_hears_when_it_has_become_true(around: Surroundings, modality: Modality) -> None:
    (object_id,) = around.deliver()
    promised(around)
    uid = around.uid(object_id)
    assert modality.ask(modality.request("2.25.1", uid)) == 0
    modality.association.listen(0.5)
    assert modality.heard == []
    commit(around)
    wait_until(lambda: modality.association.listen(0.1) and modality.heard != [], "the report")
    assert modality.heard == [(1, frozenset({uid}), {})]
    assert states(around) == ["reported"]


def test_who_comes_back_hears_what_it_is_owed(around: Surroundings) -> None:
    (object_id,) = around.deliver()
    promised(around)
    uid = around.uid(object_id)
    with Modality(around.listener.port).association as first:
        (context,) = first.contexts.values()
        data = encode_request("2.25.1", [(uid, CT)], context.transfer_syntax)
        first.action(
            context.context_id,
            sop_class_uid=PUSH,
            sop_instance_uid=WELL_KNOWN,
            action_type_id=1,
            data=data,
        )
    commit(around)
    attend(around.ledger, around.site, 1)  # the site has no address for it
    assert states(around) == ["reporting"]
    stranger = Modality(around.listener.port, "CT02")
    stranger.association.listen(0.4)
    stranger.association.release()
    assert stranger.heard == []
    again = Modality(around.listener.port)
    wait_until(lambda: again.association.listen(0.1) and again.heard != [], "the report")
    again.association.release()
    assert again.heard == [(1, frozenset({uid}), {})]
    assert states(around) == ["reported"]


def test_who_asks_for_more_first_hears_both(around: Surroundings, modality: Modality) -> None:
    around.deliver(2)
    promised(around)
    commit(around)
    (first, second) = (around.uid(one) for one in around.story.receive(2))
    assert modality.ask(modality.request("2.25.1", first)) == 0
    assert modality.ask(modality.request("2.25.2", second)) == 0
    promised(around, "own")
    with around.ledger.write() as connection:
        connection.execute(update(COMMITMENT_ORDERS).values(policy="own", next_attempt_at=0))
    wait_until(lambda: modality.association.listen(0.1) and len(modality.heard) == 2, "both")
    assert {next(iter(one[1])) for one in modality.heard} == {first, second}
    wait_until(lambda: states(around) == ["reported", "reported"], "both to be noted")


def test_a_report_that_is_refused_is_tried_again_for_days(
    around: Surroundings, modality: Modality
) -> None:
    (object_id,) = around.story.receive()
    modality.answer_with = 0x0110
    assert modality.ask(modality.request("2.25.1", around.uid(object_id))) == 0
    wait_until(lambda: modality.association.listen(0.1) and len(modality.heard) >= 2, "reports")
    assert states(around) == ["reporting"]
    modality.answer_with = 0
    wait_until(
        lambda: modality.association.listen(0.1) and states(around) == ["reported"], "the last"
    )


def test_who_comes_to_report_is_told_nothing(around: Surroundings) -> None:
    (object_id,) = around.story.receive()
    modality = Modality(around.listener.port)
    order = modality.request("2.25.1", around.uid(object_id))
    assert modality.ask(order) == 0
    modality.association.abort()
    peer = Peer(
        host="127.0.0.1",
        port=around.listener.port,
        called_ae_title="ROUTER",
        calling_ae_title="CT01",
        timeouts=DestinationTimeouts(),
    )
    with call(peer, PUSH, TRANSFER_SYNTAXES, scp_role=True) as archive:
        assert archive.listen(0.5)  # anything it is told would end it

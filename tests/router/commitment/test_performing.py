"""Performed procedure steps, told by pynetdicom as a modality does: noted, and looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

from router.commitment.performing import MPPS, PerformedScp
from router.conduct.reconciliation import look_for_performed
from router.config import Listener, Site
from router.config_performed import PerformedSteps
from router.dicom.events import AssociationRequested, CommandReceived, ReleaseRequested
from router.dicom.negotiation import negotiate
from router.ingress.acceptance import acceptance_for
from router.ledger import Ledger, performed
from router.ledger.performed import Step
from router.net.acceptor import Acceptor
from router.net.connection import Connection
from router.net.services import Visitor, data_set_of
from tests.contracts.conftest import Story
from tests.programs import wait_until
from tests.pynetdicom_pause import steady

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


class Listening:
    """A ledger, and a listener that hears of performed steps."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()
        self.story = Story(self.ledger)
        listener = Listener(name="main", ae_title="ROUTER")
        steps = PerformedSteps(within=0.001)
        self.site = Site(listeners=(listener,), performed_steps=steps)
        scp = PerformedScp(ledger=self.ledger, site=lambda: self.site)

        def serve(connection: Connection) -> None:
            event = connection.next_event()
            assert isinstance(event, AssociationRequested)
            acceptance = acceptance_for(listener, {MPPS})
            connection.association.accept(negotiate(event.request, acceptance))
            visitor = Visitor(calling_ae_title="CT01", called_ae_title="ROUTER", source="ct01")
            while True:
                match connection.next_event():
                    case CommandReceived() as event:
                        context = connection.association.contexts[event.context_id]
                        assert scp.opened(connection, context, visitor) is None
                        data = data_set_of(connection, event)
                        scp(connection, context, visitor, event.command, data or b"")
                    case ReleaseRequested():
                        connection.association.release_response()
                    case _:
                        return

        self.acceptor = Acceptor(host="127.0.0.1", port=0, serve=serve)

    def step(self, uid: str) -> Step | None:
        with self.ledger.read() as connection:
            return performed.by_uid(connection, uid)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    made = Listening(tmp_path)
    made.acceptor.start()
    yield made
    made.acceptor.close()
    made.ledger.dispose()


@pytest.fixture(params=[EXPLICIT, IMPLICIT])
def modality(listening: Listening, request: pytest.FixtureRequest) -> Iterator[Association]:
    ae = AE(ae_title="CT01")
    ae.add_requested_context(MPPS, request.param)
    association = ae.associate("127.0.0.1", listening.acceptor.port, ae_title="ROUTER")
    assert association.is_established
    yield steady(association)
    association.release()


def begun(study: str = "1.2.3") -> Dataset:
    scheduled = Dataset()
    scheduled.StudyInstanceUID = study
    step = Dataset()
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.ScheduledStepAttributesSequence = [scheduled]
    step.PerformedSeriesSequence = []
    return step


def ended(*uids: str, status: str = "COMPLETED", other: str | None = None) -> Dataset:
    def reference(uid: str) -> Dataset:
        found = Dataset()
        found.ReferencedSOPClassUID = CT
        found.ReferencedSOPInstanceUID = uid
        return found

    series = Dataset()
    series.SeriesInstanceUID = "1.2.3.1"
    series.ReferencedImageSequence = [reference(uid) for uid in uids]
    series.ReferencedNonImageCompositeSOPInstanceSequence = [reference(other)] if other else []
    step = Dataset()
    step.PerformedProcedureStepStatus = status
    step.PerformedSeriesSequence = [series]
    return step


def create(modality: Association, step: Dataset, uid: str | None = "2.25.1") -> int:
    status, _ = modality.send_n_create(step, MPPS, uid)
    return int(status.Status)


def change(modality: Association, step: Dataset, uid: str = "2.25.1") -> int:
    status, _ = modality.send_n_set(step, MPPS, uid)
    return int(status.Status)


def test_a_step_is_noted_and_what_it_lacks_is_missed(
    listening: Listening, modality: Association
) -> None:
    uids = [listening.story.stored(one).sop_instance_uid for one in listening.story.receive(2)]
    assert create(modality, begun()) == 0
    step = listening.step("2.25.1")
    assert step is not None
    assert (step.state, step.study_instance_uid, step.source) == ("in progress", "1.2.3", "ct01")
    assert look_for_performed(listening.ledger) == 0
    assert change(modality, ended(*uids, "2.25.404", other="2.25.405")) == 0
    wait_until(lambda: look_for_performed(listening.ledger) == 1, "the time that is given to it")
    step = listening.step("2.25.1")
    assert step is not None
    assert (step.state, step.instances, step.lacking) == ("completed", 4, 2)
    with listening.ledger.read() as connection:
        assert performed.lacking(connection, step.id, limit=9) == ["2.25.404", "2.25.405"]


@pytest.mark.parametrize(
    ("tell", "status"),
    [
        (lambda modality: create(modality, begun()), 0x0111),
        (lambda modality: create(modality, begun(), uid=None), 0),
        (lambda modality: change(modality, ended(), uid="2.25.9"), 0x0112),
        (lambda modality: change(modality, ended(status="PERHAPS")), 0x0106),
        (lambda modality: change(modality, ended(status="DISCONTINUED")), 0),
    ],
)
def test_what_cannot_be_is_refused_and_the_association_lives(
    modality: Association, tell: Callable[[Association], int], status: int
) -> None:
    assert create(modality, begun()) == 0
    assert tell(modality) == status
    assert create(modality, begun(), uid="2.25.77") == 0


def test_a_step_that_has_ended_stays_as_it_is(listening: Listening, modality: Association) -> None:
    assert create(modality, begun()) == 0
    assert change(modality, ended("2.25.5")) == 0
    assert change(modality, ended("2.25.5", "2.25.6")) == 0x0110
    step = listening.step("2.25.1")
    assert step is not None
    assert step.instances == 1

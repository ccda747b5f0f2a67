"""A site on disk with a ledger in which something happened, and a way to call commands on it."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli import app
from router.config import load_site
from router.ledger import (
    DeliveryOutcome,
    DeliveryState,
    DerivedObject,
    Identifiers,
    Ledger,
    NewDelivery,
    ObjectState,
    ReceivedObject,
    RoutingResult,
    deliveries,
    destinations,
    objects,
    versions,
)

SITE = """\
listeners: [{name: main, ae_title: ROUTER}]
destinations:
  - {name: pacs, dicom: {ae_title: PACS, host: pacs.example.org}}
  - {name: ai, dicom: {ae_title: AI, host: ai.example.org}}
  - {name: quiet, folder: {path: quiet}}
"""

ROUTES = """\
routes:
  - name: CT to pacs
    when: {Modality: CT, source.calling_ae_title: {one_of: [CT01, CT02]}}
    send_to: [pacs]
  - name: chest to ai
    when: {BodyPartExamined: CHEST}
    edits:
      - set: {InstitutionName: Example Hospital}
      - remove: [PatientComments]
    send_to: [ai]
"""

STUDY = "1.2.3.4"


def object_id(number: int) -> str:
    return f"{number:032x}"


def received(number: int) -> ReceivedObject:
    return ReceivedObject(
        id=object_id(number),
        received_at=1_763_700_000_000 + number,
        listener="main",
        association_id=f"association-{number}",
        peer_address="10.1.0.7",
        calling_ae_title="CT01",
        called_ae_title="ROUTER",
        tls_subject=None,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"{STUDY}.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size=525_312,
        data_set_offset=400,
        checksum=f"{number:016x}",
    )


def routed(number: int) -> RoutingResult:
    """As it came in to pacs; edited to ai."""
    edited = DerivedObject(
        id=object_id(0xE000 + number),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"{STUDY}.{number}",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size=525_400,
        data_set_offset=400,
        checksum=f"{number:016x}",
    )
    return RoutingResult(
        object_id=object_id(number),
        state=ObjectState.ROUTED,
        identifiers=Identifiers(
            study_instance_uid=STUDY, patient_id="P-1", accession_number=f"A-{number}"
        ),
        rules_version="rules-1",
        derived=(edited,),
        deliveries=(
            NewDelivery(destination="pacs", route="CT to pacs", payload_id=object_id(number)),
            NewDelivery(destination="ai", route="chest to ai", payload_id=edited.id, priority=0),
        ),
    )


def unrouted(number: int) -> RoutingResult:
    return RoutingResult(
        object_id=object_id(number), state=ObjectState.UNROUTED, reason="no_route_matched"
    )


@dataclass
class Outcome:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        return json.loads(self.out)


Call = Callable[..., Outcome]


@pytest.fixture
def site_file(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE, encoding="utf-8")
    (tmp_path / "var").mkdir()
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "10-routes.yaml").write_text(ROUTES, encoding="utf-8")
    return path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run `dicom-router …` in this process."""
    monkeypatch.delenv("DICOM_ROUTER_CONFIG", raising=False)

    def run(*arguments: object, stdin: str | None = None) -> Outcome:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger's file, written once. Objects 1 to 3 are routed; 4 matched no route; 1 was refused
    once by pacs, then delivered; ai is down."""
    path = tmp_path_factory.mktemp("history") / "ledger.db"
    ledger = Ledger(f"sqlite:///{path}")
    ledger.upgrade()
    write_history(ledger)
    ledger.dispose()
    return path


@pytest.fixture
def busy(history: Path, site_file: Path) -> Iterator[Ledger]:
    """The site's ledger, in which `history` has happened."""
    shutil.copy(history, site_file.parent / "var" / "ledger.db")
    ledger = Ledger(load_site(site_file, {}).ledger)
    yield ledger
    ledger.dispose()


def write_history(ledger: Ledger) -> None:
    with ledger.write() as connection:
        versions.activate(connection, "rules-1", {"10-routes.yaml": ROUTES})
        destinations.ensure(connection, ["pacs", "ai", "quiet"])
        objects.insert_received(connection, [received(1)])
        objects.record_routing(connection, [routed(1)])
        destinations.mark_down(connection, "ai", "connect_refused", 3_600_000)
    attempt(ledger, DeliveryState.WAITING, attempts=1, reason="out_of_resources", status=0xA700)
    attempt(ledger, DeliveryState.DELIVERED, attempts=2, status=0)
    with ledger.write() as connection:
        objects.insert_received(connection, [received(number) for number in (2, 3, 4)])
        objects.record_routing(connection, [routed(2), routed(3), unrouted(4)])


def attempt(
    ledger: Ledger,
    state: DeliveryState,
    *,
    attempts: int,
    reason: str | None = None,
    status: int | None = None,
) -> None:
    """One attempt at object 1's delivery to pacs."""
    with ledger.write() as connection:
        (leased, *_) = deliveries.lease_due(
            connection, "pacs", owner="w1", limit=1, lease_ms=60_000
        )
        assert leased.object_id == object_id(1)
        outcome = DeliveryOutcome(
            delivery_id=leased.id,
            attempts=attempts,
            state=state,
            reason=reason,
            status=status,
            next_attempt_in_ms=0 if state is DeliveryState.WAITING else None,
            association_id=f"to-pacs-{attempts}",
            started_at_ms=1_763_700_001_000,
            took_ms=12,
            worker="w1",
        )
        assert deliveries.record_outcomes(connection, "w1", [outcome]) == 1

"""The ledger's tables. What is owed to whom, and what happened.

Times are milliseconds since the epoch (UTC) by the database's clock (`clock.ledger_now`), except
where a column says it came from elsewhere. History tables (`*_events`) never hold patient data.
Every index serves a named question; partial indexes keep what is finished out of the hot path.
"""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class ObjectState(StrEnum):
    """Where an object stands. Only routed and discarded objects are ever forgotten."""

    RECEIVED = "received"  # durable, not yet routed
    ROUTED = "routed"  # its deliveries exist (a derived object is born routed)
    UNROUTED = "unrouted"  # no route matched; kept until a person decides
    DISCARDED = "discarded"  # a rule, or the site, said so
    BUNDLED = "bundled"  # a route waits for the rest of its study or series
    HELD = "held"  # kept until a person decides
    FAILED = "failed"  # could not be routed
    FORGOTTEN = "forgotten"  # its bytes are deleted, its row remains


class DeliveryState(StrEnum):
    """Where a delivery stands: waiting, leased, then one of the others."""

    WAITING = "waiting"
    LEASED = "leased"
    DELIVERED = "delivered"
    COMMITTED = "committed"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINAL_STATES = (DeliveryState.DELIVERED, DeliveryState.COMMITTED, DeliveryState.CANCELLED)
"""States in which nothing is owed any more. In all others the bytes must stay."""

PRIORITIES = {"stat": 0, "high": 1, "routine": 2, "low": 3}
"""Rule words to the number in the row; the lowest number is served first."""


class LedgerTable(DeclarativeBase):
    """Declarative root: fixed constraint names, so that migrations can name them."""

    metadata = MetaData(naming_convention=NAMING)


def _key(length: int) -> String:
    """Text compared byte by byte, so ranges over ids mean the same in every database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


OBJECT_ID = _key(32)
UID = _key(64)
# SQLite numbers rows itself only when the key is spelled INTEGER.
ROW_ID = BigInteger().with_variant(Integer, "sqlite")


class Object(LedgerTable):
    """One SOP instance whose bytes the store keeps: received, or derived from a received one."""

    __tablename__ = "objects"

    id: Mapped[str] = mapped_column(OBJECT_ID, primary_key=True)
    derived_from: Mapped[str | None] = mapped_column(OBJECT_ID)
    received_at: Mapped[int] = mapped_column(BigInteger)  # by the receiving host's clock
    recorded_at: Mapped[int] = mapped_column(BigInteger)
    listener: Mapped[str | None] = mapped_column(String(64))
    association_id: Mapped[str | None] = mapped_column(String(64))
    peer_address: Mapped[str | None] = mapped_column(String(64))
    calling_ae_title: Mapped[str | None] = mapped_column(String(16))
    called_ae_title: Mapped[str | None] = mapped_column(String(16))
    tls_subject: Mapped[str | None] = mapped_column(String(256))
    sop_class_uid: Mapped[str] = mapped_column(UID)
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str | None] = mapped_column(UID)
    series_instance_uid: Mapped[str | None] = mapped_column(UID)
    patient_id: Mapped[str | None] = mapped_column(String(64))
    accession_number: Mapped[str | None] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)  # bytes of the data set alone
    data_set_offset: Mapped[int] = mapped_column(Integer)  # where it begins in the stored file
    checksum: Mapped[str] = mapped_column(String(32))  # xxh3 of the data set, hexadecimal
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(64))
    routed_at: Mapped[int | None] = mapped_column(BigInteger)
    settled_at: Mapped[int | None] = mapped_column(BigInteger)  # nothing is owed since then
    forgotten_at: Mapped[int | None] = mapped_column(BigInteger)  # the history ends a while later
    rules_version: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(Integer)
    generation: Mapped[int] = mapped_column(Integer)  # how often it was routed anew

    __table_args__ = (
        Index("ix_objects_sop_instance", "sop_instance_uid", "recorded_at"),
        Index("ix_objects_study", "study_instance_uid"),
        Index("ix_objects_patient", "patient_id"),
        Index(
            "ix_objects_accession",
            "accession_number",
            sqlite_where=text("accession_number IS NOT NULL"),
            postgresql_where=text("accession_number IS NOT NULL"),
        ),
        Index(
            "ix_objects_derived",
            "derived_from",
            sqlite_where=text("derived_from IS NOT NULL"),
            postgresql_where=text("derived_from IS NOT NULL"),
        ),
        Index(
            "ix_objects_unfinished",  # what the sweep must look at: never the routed million
            "state",
            "recorded_at",
            sqlite_where=text("state IN ('received', 'unrouted', 'held', 'failed')"),
            postgresql_where=text("state IN ('received', 'unrouted', 'held', 'failed')"),
        ),
        Index(
            "ix_objects_settled",
            "settled_at",
            sqlite_where=text("settled_at IS NOT NULL"),
            postgresql_where=text("settled_at IS NOT NULL"),
        ),
        Index(
            "ix_objects_forgotten",  # what the history drops one day
            "forgotten_at",
            sqlite_where=text("forgotten_at IS NOT NULL"),
            postgresql_where=text("forgotten_at IS NOT NULL"),
        ),
    )


class Delivery(LedgerTable):
    """One object owed to one destination."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    object_id: Mapped[str] = mapped_column(OBJECT_ID, ForeignKey("objects.id"))
    # The bytes to send. No foreign key: it would need an index to delete objects by, written with
    # every delivery; payloads are made and dropped together with their deliveries.
    payload_id: Mapped[str] = mapped_column(OBJECT_ID)
    destination: Mapped[str] = mapped_column(_key(64))
    route: Mapped[str] = mapped_column(String(128))
    rules_version: Mapped[str | None] = mapped_column(String(64))
    priority: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(Integer)
    next_attempt_at: Mapped[int] = mapped_column(BigInteger)
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    owed_since: Mapped[int] = mapped_column(BigInteger)  # created, or retried by a person
    finished_at: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String(64))
    generation: Mapped[int] = mapped_column(Integer)
    # Destinations that may take it instead, best first, and how long its own may be down before.
    members: Mapped[str | None] = mapped_column(String(512))
    move_after_ms: Mapped[int | None] = mapped_column(BigInteger)
    send_between: Mapped[str | None] = mapped_column(String(255))  # rules.windows; None: any time

    __table_args__ = (
        UniqueConstraint("object_id", "destination", "generation"),
        Index(
            "ix_deliveries_movable",
            "destination",
            "members",
            "move_after_ms",
            "id",
            sqlite_where=text("state = 'waiting' AND members IS NOT NULL"),
            postgresql_where=text("state = 'waiting' AND members IS NOT NULL"),
        ),
        Index(
            "ix_deliveries_due",
            "destination",
            "priority",
            "next_attempt_at",
            "id",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        Index(
            "ix_deliveries_open",
            "destination",
            "state",
            "created_at",
            sqlite_where=text("state IN ('waiting', 'leased', 'held', 'failed')"),
            postgresql_where=text("state IN ('waiting', 'leased', 'held', 'failed')"),
        ),
        Index(
            "ix_deliveries_leased",
            "lease_until",
            sqlite_where=text("state = 'leased'"),
            postgresql_where=text("state = 'leased'"),
        ),
        {
            "postgresql_with": {
                "fillfactor": 70,  # room for the two or three updates each row lives through
                "autovacuum_vacuum_scale_factor": 0.02,
            }
        },
    )


class DeliveryEvent(LedgerTable):
    """One attempt, or one decision of a person, about a delivery. No patient data."""

    __tablename__ = "delivery_events"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ROW_ID)
    at: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[int | None] = mapped_column(Integer)  # DIMSE status, PS3.7 annex C
    attempts: Mapped[int | None] = mapped_column(Integer)
    association_id: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[int | None] = mapped_column(BigInteger)  # by the worker's clock
    took_ms: Mapped[int | None] = mapped_column(BigInteger)
    worker: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_delivery_events_delivery_id", "delivery_id"),)


class ObjectEvent(LedgerTable):
    """One decision about an object (routed, held, discarded, ...). No patient data."""

    __tablename__ = "object_events"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    object_id: Mapped[str] = mapped_column(OBJECT_ID)
    at: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str | None] = mapped_column(String(64))
    rules_version: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (Index("ix_object_events_object_id", "object_id"),)


class Destination(LedgerTable):
    """The health of a destination: its failures are charged here, never to its deliveries."""

    __tablename__ = "destinations"

    name: Mapped[str] = mapped_column(_key(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(4), server_default="up")  # up | down
    held: Mapped[bool] = mapped_column(Boolean, server_default=false())
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    next_probe_at: Mapped[int | None] = mapped_column(BigInteger)
    probe_owner: Mapped[str | None] = mapped_column(String(64))
    probe_until: Mapped[int | None] = mapped_column(BigInteger)
    down_since: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String(64))
    paced_until: Mapped[int | None] = mapped_column(BigInteger)  # its limits are used up till then


class DestinationSlot(LedgerTable):
    """A permission to work for a destination; their number is a limit across the cluster."""

    __tablename__ = "destination_slots"

    destination: Mapped[str] = mapped_column(_key(64), primary_key=True)
    n: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[int | None] = mapped_column(BigInteger)


class RuleVersion(LedgerTable):
    """The rule files as they were when this version was loaded."""

    __tablename__ = "rule_versions"

    version: Mapped[str] = mapped_column(_key(64), primary_key=True)
    recorded_at: Mapped[int] = mapped_column(BigInteger)
    activated_at: Mapped[int] = mapped_column(BigInteger)
    texts: Mapped[str] = mapped_column(Text)  # JSON object: file name to text


class Leader(LedgerTable):
    """Who conducts: one lease for each role of which only one may act."""

    __tablename__ = "leaders"

    name: Mapped[str] = mapped_column(_key(64), primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[int | None] = mapped_column(BigInteger)


class SchemaFloor(LedgerTable):
    """One row: the oldest revision whose code may work on this schema (ARCHITECTURE.md)."""

    __tablename__ = "schema_floor"

    revision: Mapped[str] = mapped_column(_key(32), primary_key=True)


class IntakeMark(LedgerTable):
    """How far a node's spool is known to be in the ledger: its restart scan begins there."""

    __tablename__ = "intake_marks"

    node: Mapped[str] = mapped_column(_key(128), primary_key=True)
    checkpoint: Mapped[str] = mapped_column(_key(32))
    marked_at: Mapped[int] = mapped_column(BigInteger)


def _table(model: type[LedgerTable]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


# Statements are written on the tables: no session, no identity map on the hot path.
OBJECTS = _table(Object)
DELIVERIES = _table(Delivery)
DELIVERY_EVENTS = _table(DeliveryEvent)
OBJECT_EVENTS = _table(ObjectEvent)
DESTINATIONS = _table(Destination)
DESTINATION_SLOTS = _table(DestinationSlot)
RULE_VERSIONS = _table(RuleVersion)
LEADERS = _table(Leader)
SCHEMA_FLOOR = _table(SchemaFloor)
INTAKE_MARKS = _table(IntakeMark)

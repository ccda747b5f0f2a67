"""The ledger's tables of storage commitment: what destinations are asked, what modalities ask.

Written per object, so indexes are few and partial: what is committed costs nothing any more.
"""

from sqlalchemy import BigInteger, Index, Integer, String, Table, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from router.ledger.models import OBJECT_ID, ROW_ID, UID, LedgerTable

NAME = String(64).with_variant(String(64, collation="C"), "postgresql")
AE_TITLE = String(16).with_variant(String(16, collation="C"), "postgresql")

_TO_ASK = text("state IN ('due', 'check')")
_REQUESTED = text("state = 'requested'")
_UNPROVEN = text("state IN ('due', 'check', 'requested')")
_OPEN = text("state = 'open'")
_UNFINISHED = text("state IN ('open', 'reporting')")
_PENDING = text("result IS NULL")


class Commitment(LedgerTable):
    """A delivery that ends only when its destination has committed the object. No foreign keys:
    nothing is deleted but by `history`, which deletes both."""

    __tablename__ = "commitments"

    delivery_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    object_id: Mapped[str] = mapped_column(OBJECT_ID)  # as received
    destination: Mapped[str] = mapped_column(NAME)
    sop_class_uid: Mapped[str] = mapped_column(UID)  # of what was sent
    sop_instance_uid: Mapped[str] = mapped_column(UID)  # of what was sent
    state: Mapped[str] = mapped_column(String(12))  # due | check | requested | committed | refused
    request_id: Mapped[int | None] = mapped_column(BigInteger)
    due_at: Mapped[int] = mapped_column(BigInteger)  # when it is to be asked for
    attempts: Mapped[int] = mapped_column(Integer)  # asked, and not answered
    refusals: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(64))
    delivered_at: Mapped[int] = mapped_column(BigInteger)
    done_at: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        Index(
            "ix_commitments_due",
            "destination",
            "state",
            "due_at",
            sqlite_where=_TO_ASK,
            postgresql_where=_TO_ASK,
        ),
        Index(
            "ix_commitments_request",
            "request_id",
            sqlite_where=_REQUESTED,
            postgresql_where=_REQUESTED,
        ),
        Index(
            "ix_commitments_unproven",
            "object_id",
            sqlite_where=_UNPROVEN,
            postgresql_where=_UNPROVEN,
        ),
        Index(
            "ix_commitments_oldest",
            "destination",
            "delivered_at",
            sqlite_where=_UNPROVEN,
            postgresql_where=_UNPROVEN,
        ),
    )


class CommitmentRequest(LedgerTable):
    """One transaction with a destination; written before its N-ACTION leaves."""

    __tablename__ = "commitment_requests"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(UID, unique=True)
    destination: Mapped[str] = mapped_column(NAME)
    state: Mapped[str] = mapped_column(String(12))  # open | answered | failed | expired
    items: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[int | None] = mapped_column(BigInteger)  # the peer has taken it
    answer_by: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        Index(
            "ix_commitment_requests_open",
            "answer_by",
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
    )


class CommitmentOrder(LedgerTable):
    """One transaction of a modality that asks us to commit."""

    __tablename__ = "commitment_orders"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    transaction_uid: Mapped[str] = mapped_column(UID)
    calling_ae_title: Mapped[str] = mapped_column(AE_TITLE)
    called_ae_title: Mapped[str] = mapped_column(String(16))  # ours, as it was called
    source: Mapped[str | None] = mapped_column(String(64))
    policy: Mapped[str] = mapped_column(String(12))  # own | all | any | reference
    reference: Mapped[str | None] = mapped_column(String(64))  # a destination
    state: Mapped[str] = mapped_column(String(12))  # open | reporting | reported | given_up
    received_at: Mapped[int] = mapped_column(BigInteger)
    answer_by: Mapped[int] = mapped_column(BigInteger)
    next_attempt_at: Mapped[int] = mapped_column(BigInteger)  # to look, or to report
    attempts: Mapped[int] = mapped_column(Integer)  # reports that did not arrive
    reason: Mapped[str | None] = mapped_column(String(64))
    done_at: Mapped[int | None] = mapped_column(BigInteger)

    __table_args__ = (
        UniqueConstraint("calling_ae_title", "transaction_uid"),
        Index(
            "ix_commitment_orders_due",
            "next_attempt_at",
            sqlite_where=_UNFINISHED,
            postgresql_where=_UNFINISHED,
        ),
    )


class CommitmentOrderItem(LedgerTable):
    """One instance of an order. `result` is 0 or a failure reason (PS3.3 C.14); null: open."""

    __tablename__ = "commitment_order_items"

    order_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    sop_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    result: Mapped[int | None] = mapped_column(Integer)

    __table_args__ = (
        Index(
            "ix_commitment_order_items_pending",
            "sop_instance_uid",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
    )


def _table(model: type[LedgerTable]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


COMMITMENTS = _table(Commitment)
COMMITMENT_REQUESTS = _table(CommitmentRequest)
COMMITMENT_ORDERS = _table(CommitmentOrder)
COMMITMENT_ORDER_ITEMS = _table(CommitmentOrderItem)

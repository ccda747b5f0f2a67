"""Any sequence of events: what is owed stays owed until it has ended, and nothing is owed twice."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import text

from router.ledger import (
    DeliveryFilter,
    DeliveryOutcome,
    DeliveryState,
    LeasedDelivery,
    Ledger,
    NewDelivery,
    ObjectState,
    ReceivedObject,
    RoutingResult,
    deliveries,
    objects,
)
from router.store import new_object_id

DESTINATIONS = ("pacs", "research")
OPEN = {"waiting", "leased", "held", "failed"}


class Books(RuleBasedStateMachine):
    """The ledger beside a dictionary that says the same."""

    received = Bundle("received")
    leased = Bundle("leased")

    @initialize()
    def open_ledger(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(f"sqlite:///{Path(self.folder.name)}/ledger.db")
        self.ledger.upgrade()
        self.owed: dict[tuple[str, str], str] = {}
        self.routed: set[str] = set()
        self.runs = 0

    def teardown(self) -> None:
        self.ledger.dispose()
        self.folder.cleanup()

    @rule(target=received, count=st.integers(1, 3))
    def receive(self, count):
        rows = [
            ReceivedObject(
                id=new_object_id(),
                received_at=1,
                listener="main",
                association_id="a",
                peer_address="10.0.0.1",
                calling_ae_title="CT01",
                called_ae_title="ROUTER",
                tls_subject=None,
                sop_class_uid="1.2",
                sop_instance_uid="2.25.1",
                transfer_syntax_uid="1.2",
                size=1,
                data_set_offset=1,
                checksum="c0ffee",
            )
            for _ in range(count)
        ]
        with self.ledger.write() as conn:
            objects.insert_received(conn, rows)
        return multiple(*(row.id for row in rows))

    @rule(object_id=received, names=st.sets(st.sampled_from(DESTINATIONS)))
    def route(self, object_id, names):
        owed = tuple(
            NewDelivery(destination=name, route="all", payload_id=object_id) for name in names
        )
        result = RoutingResult(object_id=object_id, state=ObjectState.ROUTED, deliveries=owed)
        with self.ledger.write() as conn:
            recorded = objects.record_routing(conn, [result])
        assert recorded == (set() if object_id in self.routed else {object_id})
        if recorded:
            self.routed.add(object_id)
            self.owed.update({(object_id, name): "waiting" for name in names})

    @rule(
        target=leased,
        name=st.sampled_from(DESTINATIONS),
        limit=st.integers(1, 3),
        lost=st.booleans(),
    )
    def lease(self, name, limit, lost):
        self.runs += 1
        with self.ledger.write() as conn:
            taken = deliveries.lease_due(
                conn,
                name,
                owner=f"run-{self.runs}",
                limit=limit,
                lease_ms=-1 if lost else 3_600_000,
            )
        for one in taken:
            assert self.owed[one.object_id, name] == "waiting"
            self.owed[one.object_id, name] = "leased"
        waiting = sum(state == "waiting" for (_, to), state in self.owed.items() if to == name)
        assert len(taken) == limit or waiting == 0
        return multiple(*((one, self.runs, lost) for one in taken))

    @rule(
        lease=consumes(leased),
        state=st.sampled_from(
            [
                DeliveryState.DELIVERED,
                DeliveryState.WAITING,
                DeliveryState.HELD,
                DeliveryState.FAILED,
            ]
        ),
    )
    def end(self, lease: tuple[LeasedDelivery, int, bool], state):
        one, run, _ = lease
        outcome = DeliveryOutcome(delivery_id=one.id, attempts=1, state=state)
        with self.ledger.write() as conn:
            recorded = deliveries.record_outcomes(conn, f"run-{run}", [outcome])
            again = deliveries.record_outcomes(conn, f"run-{run}", [outcome])
        assert again == 0
        if recorded:
            assert self.owed[one.object_id, one.destination] == "leased"
            self.owed[one.object_id, one.destination] = state.value

    @rule(lease=consumes(leased))
    def give_back(self, lease: tuple[LeasedDelivery, int, bool]):
        one, run, _ = lease
        with self.ledger.write() as conn:
            if deliveries.give_back(conn, f"run-{run}", [one.id]):
                self.owed[one.object_id, one.destination] = "waiting"

    @rule()
    def expire(self):
        lost = "SELECT object_id, destination FROM deliveries WHERE lease_until < 1e13 AND "
        lost += "lease_until < CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
        with self.ledger.write() as conn:
            expired = [tuple(row) for row in conn.execute(text(lost))]
            names = deliveries.expire_leases(conn)
        assert names == sorted({name for _, name in expired})
        self.owed.update(dict.fromkeys(expired, "waiting"))

    @rule(
        what=st.sampled_from(["hold", "release", "retry", "cancel"]),
        name=st.sampled_from(DESTINATIONS),
    )
    def intervene(self, what, name):
        applies, becomes = {
            "hold": ({"waiting"}, "held"),
            "release": ({"held"}, "waiting"),
            "retry": ({"held", "failed"}, "waiting"),
            "cancel": ({"waiting", "held", "failed"}, "cancelled"),
        }[what]
        chosen = [key for key, state in self.owed.items() if key[1] == name and state in applies]
        with self.ledger.write() as conn:
            changed = getattr(deliveries, what)(conn, DeliveryFilter(destination=name), by="t")
        assert changed == len(chosen)
        self.owed.update(dict.fromkeys(chosen, becomes))

    @invariant()
    def the_books_agree(self):
        if not hasattr(self, "ledger"):
            return
        with self.ledger.read() as conn:
            rows = conn.execute(text("SELECT object_id, destination, state FROM deliveries"))
            assert {(row[0], row[1]): row[2] for row in rows} == self.owed
            settled = set(objects.forgettable(conn, -1000, 1000))
        unsettled = {key[0] for key, state in self.owed.items() if state in OPEN}
        assert settled == self.routed - unsettled


Books.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestBooks = Books.TestCase

"""Routes a batch of received objects: one verdict each, one transaction for all.

Routing the same ticket twice changes nothing. An edit that cannot be applied holds the object
with the reason: the routes that could be served are, and nothing half-edited ever leaves.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from router import metrics
from router.config import Codecs, Loops
from router.config_vault import Vault
from router.ledger import (
    Identifiers,
    Ledger,
    LedgerError,
    ObjectState,
    RoutingResult,
    StoredObject,
    bundles,
    destinations,
    objects,
)
from router.ledger.bundled import record_bundled
from router.logs import get_logger
from router.routing.bundling import Bundling
from router.routing.headers import Header, identifiers, open_header
from router.routing.in_hand import InHand
from router.routing.making import Made, Scene, delivery_of, held, recording_of, unrouted
from router.routing.observing import Observer
from router.routing.vaulting import Vaulting, pairs_of
from router.routing.verifying import derive_verified
from router.store import Spool, StoreUnavailable
from router.transcoding.transcoder import Transcoder
from rules.deid.engine import Dropped, Refused
from rules.edits import EditFailed, apply_edits
from rules.encoded.data_set import MalformedDataSet
from rules.routes import RouteTable, match
from rules.verdict import Dispatch

PART_SECONDS = 1.0
"""What was decided in so long is recorded: for what is not, the sweep soon rings again."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
"""What passes, without a person's doing: the object stays received until there is room."""

log = get_logger("routing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the site decides outside the rules."""

    on_no_match: str
    ignore_identical: bool
    loops: Loops
    vault: Vault | None = field(default=None, repr=False)


class Routing:
    """Carries received objects from the ledger to deliveries. Safe to use from many threads."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        spool: Spool,
        rules: Callable[[], RouteTable],
        policy: Policy,
        transcoder: Transcoder | None = None,
        observer: Observer | None = None,
    ) -> None:
        """`rules` gives the table in force; it is asked once for a batch. `transcoder` changes
        pixels, with the usual settings where none is given. `observer` is told of verdicts."""
        self._ledger = ledger
        self._spool = spool
        self._rules = rules
        self._policy = policy
        self._vaulting = Vaulting(policy.vault)
        self._transcoder = transcoder or Transcoder(Codecs())
        self._observer = observer
        self._bundling = Bundling(ledger)
        self._in_hand = InHand()
        self._mutex = threading.Lock()
        self._unrecorded: set[str] = set()

    def decide_by(self, policy: Policy) -> None:
        """The site has changed its mind: from the next object on."""
        self._policy = policy
        if policy.vault != self._vaulting.settings:
            self._vaulting = Vaulting(policy.vault)

    def route(self, object_ids: Sequence[str]) -> frozenset[str]:
        """Decide on these objects; the destinations that have new deliveries.

        Raises LedgerUnavailable, or StoreUnavailable once it has recorded what it could; whatever
        is wrong with one object is that object's result. What another thread has in hand stays
        with it; what takes long is recorded in parts, so that no other worker does it, too."""
        owed: set[str] = set()
        with self._in_hand.taken(object_ids) as left:
            while left:
                left = self._route_some(left, owed)
        return frozenset(owed)

    def _route_some(self, object_ids: Sequence[str], owed: set[str]) -> list[str]:
        """Decide on the first of these objects, and record that; those that are left."""
        started = time.monotonic()
        table, vaulting = self._rules(), self._vaulting
        with self._ledger.read() as connection:
            known = objects.by_ids(connection, object_ids)
            batch = [stored for stored in known if stored.state is ObjectState.RECEIVED]
            scene = Scene(
                table=table,
                looping=self._looping(connection, batch),
                down=destinations.down_for(connection),
                due=bundles.due_members(connection, object_ids),
                no_vault=vaulting.refusal(connection),
            )
            self._unmake_unrecorded(connection)
        batch += [stored for stored in known if stored.id in scene.due]
        results, attempted, away = self._decide_all(batch, scene, started + PART_SECONDS)
        recorded = self._record(results, vaulting)
        if self._observer is not None:
            self._observer.batch_recorded()
        took = (time.monotonic() - started) / max(1, len(results))
        for result in results:
            if result.object_id not in recorded:  # another worker was faster
                self._unmake(item.id for item in result.derived)
                continue
            metrics.OBJECTS_ROUTED.labels(result.state.value).inc()
            metrics.ROUTE_SECONDS.observe(took)
            owed.update(delivery.destination for delivery in result.deliveries)
        if away is not None:
            raise away
        return [stored.id for stored in batch[attempted:]]

    def hold(self, object_id: str, reason: str) -> None:
        """Set an object aside that could not be routed, for a person to look at."""
        result = RoutingResult(object_id=object_id, state=ObjectState.HELD, reason=reason)
        with self._ledger.write() as connection:
            objects.record_routing(connection, [result])
            for due in bundles.due_members(connection, [object_id]).values():
                of_bundles = tuple(member.bundle_id for member in due)
                record_bundled(connection, [replace(result, bundles=of_bundles)])
        metrics.OBJECTS_ROUTED.labels(result.state.value).inc()

    def _decide_all(
        self, batch: Sequence[StoredObject], scene: Scene, until: float
    ) -> tuple[list[RoutingResult], int, StoreUnavailable | None]:
        """A result for each object but those for whose edited copies the disk has no room, and
        those left when the store was found to be away: they stay received. How many of the batch
        were looked at until it was too late for more."""
        results: list[RoutingResult] = []
        attempted = without_room = 0
        away: StoreUnavailable | None = None
        try:
            for stored in batch:
                if attempted and time.monotonic() >= until:
                    break
                attempted += 1
                try:
                    results.append(self._route_one(stored, scene))
                except StoreUnavailable as error:
                    away = error
                    break
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    without_room += 1
        except BaseException:
            self._unmake(item.id for result in results for item in result.derived)
            raise
        if without_room:
            log.error("no room for edited copies; the sweep rings again", objects=without_room)
        return results, attempted, away

    def _record(self, results: Sequence[RoutingResult], vaulting: Vaulting) -> set[str]:
        derived = [item.id for result in results for item in result.derived]
        sealed = vaulting.sealed(results)
        try:
            with self._ledger.write() as connection:
                arrived = [result for result in results if not result.bundles]
                recorded = objects.record_routing(connection, arrived)
                recorded |= record_bundled(connection, [one for one in results if one.bundles])
                vaulting.keep(connection, sealed, results, recorded)
        except LedgerError:
            # It may have been recorded all the same, when only the answer was lost.
            with self._mutex:
                self._unrecorded.update(derived)
            raise
        vaulting.kept(sealed)
        self._spool.settled(derived)
        return recorded

    def _unmake_unrecorded(self, connection: Connection) -> None:
        """Delete what was derived while the ledger could not be written, unless it is in it.

        Otherwise each new attempt would leave its copies on the disk until the next start.
        """
        with self._mutex:
            unsure, self._unrecorded = self._unrecorded, set()
        if unsure:
            known = {stored.id for stored in objects.by_ids(connection, sorted(unsure))}
            self._spool.settled(known)
            self._unmake(unsure - known)

    def _unmake(self, derived: Iterable[str]) -> None:
        """Delete derived objects that are in nobody's books."""
        ids = list(derived)
        try:
            self._spool.store.delete(ids)
        except StoreUnavailable as error:
            log.warning("copies left for the conductor to find", reason=error.strerror)
        self._spool.settled(ids)

    def _looping(self, connection: Connection, batch: Sequence[StoredObject]) -> frozenset[str]:
        """Ids of objects whose SOP instance has come so often that routers seem to circle it."""
        loops = self._policy.loops
        # What a person has given back to routing is not held a second time.
        suspects = {stored.sop_instance_uid for stored in batch if stored.generation == 0}
        counts = objects.receptions_since(connection, suspects, int(loops.within * 1000))
        return frozenset(
            stored.id
            for stored in batch
            if stored.generation == 0 and counts.get(stored.sop_instance_uid, 0) >= loops.receptions
        )

    def _came_before(self, stored: StoredObject) -> bool:
        """Whether an earlier reception brought the same SOP instance with the same bytes."""
        with self._ledger.read() as connection:
            return objects.has_earlier_copy(connection, stored)

    def _route_one(self, stored: StoredObject, scene: Scene) -> RoutingResult:
        if (due := scene.due.get(stored.id)) is not None:
            result = self._route_by_header(stored, scene)
            return replace(
                result,
                bundles=tuple(member.bundle_id for member in due),
                again=any(member.again for member in due),
            )
        if self._policy.ignore_identical and self._came_before(stored):
            return RoutingResult(
                object_id=stored.id, state=ObjectState.DISCARDED, reason="identical_came_before"
            )
        return self._route_by_header(stored, scene)

    def _route_by_header(self, stored: StoredObject, scene: Scene) -> RoutingResult:
        table, known_as = scene.table, Identifiers()
        try:
            with open_header(self._spool.store, stored) as header:
                known_as = identifiers(header.attributes)
                if stored.id not in scene.looping:
                    return self._decide(stored, scene, header, known_as)
            log.error("object circles between routers; held", object_id=stored.id)
            metrics.LOOPS.labels(stored.listener or "").inc()
            return held(stored, table, "loop", known_as=known_as)
        except MalformedDataSet as error:
            log.warning("object held: malformed", object_id=stored.id, offset=error.offset)
            detail = f"offset {error.offset}: {error.reason}"
            return held(stored, table, "malformed", detail, known_as=known_as)
        except FileNotFoundError:
            log.error("object held: its file is gone", object_id=stored.id)
            return held(stored, table, "file_missing")

    def _decide(
        self, stored: StoredObject, scene: Scene, header: Header, known_as: Identifiers
    ) -> RoutingResult:
        made = Made()

        def otherwise() -> RoutingResult:
            choice = self._policy.on_no_match
            return made.otherwise(unrouted(stored, scene.table, known_as, choice))

        try:
            if not self._make(stored, scene, header, known_as, made):
                return otherwise()
        except BaseException:
            self._unmake(item.id for item in made.derived.values())
            raise
        state = ObjectState.BUNDLED if made.waits else ObjectState.ROUTED
        return RoutingResult(
            object_id=stored.id,
            state=ObjectState.HELD if made.failures else state,
            reason=made.reason if made.failures else None,
            identifiers=known_as,
            rules_version=scene.table.version,
            derived=tuple(made.derived.values()),
            deliveries=tuple(made.deliveries),
            detail=made.detail,
            joins=tuple(made.joins),
            pairs=tuple(made.pairs),
            otherwise=otherwise() if stored.id in scene.due else None,
        )

    def _make(
        self,
        stored: StoredObject,
        scene: Scene,
        header: Header,
        known_as: Identifiers,
        made: Made,
    ) -> bool:
        """Carry out what the rules say; False: they say nothing of this object."""

        def send(dispatch: Dispatch) -> None:
            self._dispatch(stored, header, dispatch, made, scene)

        if (due := scene.due.get(stored.id)) is not None:
            self._bundling.depart(stored, header.facts, due, scene, made, send)
            return True
        verdict = match(scene.table, header.facts, scene.down, arriving=True)
        if self._observer is not None:
            self._observer.decided(
                stored.id, header.facts, verdict, version=scene.table.version, down=scene.down
            )
        for dispatch in verdict.dispatches:
            if dispatch.wait_for is None:
                send(dispatch)
            else:
                self._bundling.arrive(stored, header, known_as, scene, dispatch, made, send)
        return bool(made.deliveries or made.waits or made.failures)

    def _dispatch(
        self, stored: StoredObject, header: Header, dispatch: Dispatch, made: Made, scene: Scene
    ) -> None:
        """One route's deliveries. Two routes to one destination: the first in the list decides."""
        for choice in dispatch.choices:
            told = f"{dispatch.route}: {choice.group}: {choice.chosen or 'nobody'}, {choice.why}"
            if choice.chosen is not None:
                made.choices.append(told)
            else:
                made.fail("no_destination", told)
        names = [name for name in dispatch.destinations if name not in made.claimed]
        if not names:
            return
        # Also where the edit fails: what a later route would send there is not what was wanted.
        made.claimed.update(names)
        try:
            payload_id = self._payload(stored, header, dispatch, made, scene)
        except Dropped as error:
            made.dropped.append(f"{dispatch.route}: {error}")
            return
        except (EditFailed, MalformedDataSet) as error:
            log.warning("edit failed", object_id=stored.id, route=dispatch.route)
            reason = "refused" if isinstance(error, Refused) else "edit_failed"
            made.fail(reason, f"{dispatch.route}: {error}")
            return
        made.deliveries.extend(delivery_of(dispatch, name, payload_id) for name in names)

    def _payload(
        self, stored: StoredObject, header: Header, dispatch: Dispatch, made: Made, scene: Scene
    ) -> str:
        """The id of the object to send; equal edits share one derived object."""
        if not dispatch.edits_key:
            return stored.id
        derived = made.derived
        if dispatch.edits_key not in derived:
            if scene.no_vault and dispatch.profile is not None and dispatch.profile.vault:
                raise EditFailed(scene.no_vault)
            record = recording_of(stored) if dispatch.record else None
            edited = apply_edits(
                dispatch.edits, header.editable, record=record, profile=dispatch.profile
            )
            derived[dispatch.edits_key] = derive_verified(
                self._spool, self._transcoder, header.editable, edited, dispatch.profile
            )
            made.pairs += pairs_of(dispatch, header.editable, edited)
        return derived[dispatch.edits_key].id

"""Queries of a destination (C-FIND, study root): proof that it has an object, and what it shows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import Self

from router import metrics
from router.commitment.calling import STUDY_ROOT_FIND, Peer, call, peer_of
from router.commitment.data_sets import TRANSFER_SYNTAXES, NotUnderstood
from router.commitment.hearing import proven, refuse
from router.commitment.identifiers import (
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Values,
    encode_identifier,
    read_identifier,
    read_values,
)
from router.commitment.reasons import FOUND, NOT_FOUND
from router.config import Destination, DestinationCommitment
from router.ledger import Ledger, commitments, proofs
from router.logs import get_logger
from router.net.errors import NetError, ProtocolViolation

AT_ONCE = 500
MOST_ANSWERS = 200_000
"""Objects of one series, and far more: who has more to say does not heed what is asked for."""
_PENDING = (0xFF00, 0xFF01)
_HIERARCHY = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)

Series = tuple[str, str]
"""Study and series instance UID."""

log = get_logger("commitment")


class QueryRefused(ProtocolViolation):
    """The peer does not answer such a query; the association lives on."""


class Queries:
    """Queries over one association, which ends with the `with` block. Each may be a NetError."""

    def __init__(self, peer: Peer) -> None:
        """NetError if there is no association for queries to be had."""
        self._association = call(peer, STUDY_ROOT_FIND, TRANSFER_SYNTAXES)
        context = self._association.context_for(STUDY_ROOT_FIND)
        if context is None:
            self._association.release()
            raise ProtocolViolation("the peer takes no queries (study root, C-FIND)")
        self._context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._association.__exit__(kind, error, trace)

    def images(self, series: Series, wanted: Iterable[int] = ()) -> dict[str, Values]:
        """What the peer has of a series: SOP instance UID to what it tells of the attributes that
        are `wanted`. Empty for a series without UIDs: it cannot be asked for."""
        if not all(series):
            return {}
        known = dict(zip(_HIERARCHY, series, strict=True))
        tags = [SOP_INSTANCE_UID, *_HIERARCHY, *wanted]
        return {
            uid: values
            for uid, values in self._answers("IMAGE", known, tags)
            # Who does not heed the keys answers with other series' objects, too.
            if all(values.get(tag, own) in ("", own) for tag, own in known.items())
        }

    def study(self, study_uid: str, wanted: Iterable[int]) -> Values | None:
        """What the peer tells of a study; None where it has none, or answers no such query."""
        known, tags = {STUDY_INSTANCE_UID: study_uid}, [STUDY_INSTANCE_UID, *wanted]
        found: Values | None = None
        try:
            for number, data in enumerate(self._find("STUDY", known, tags)):
                if number >= MOST_ANSWERS:
                    raise ProtocolViolation("answers to a query without end")
                values = self._understood(data, tags)
                if values.get(STUDY_INSTANCE_UID) == study_uid:
                    found = values
        except QueryRefused:
            return None
        return found

    def elsewhere(self, uids: Collection[str]) -> dict[str, Series]:
        """In which study and series the peer has these instances: a query without the levels
        above (PS3.4 C.4.1.3.2), which not every peer answers."""
        known = {SOP_INSTANCE_UID: "\\".join(uids)}
        tags = [SOP_INSTANCE_UID, *_HIERARCHY]
        found = {}
        for number, (uid, values) in enumerate(self._answers("IMAGE", known, tags)):
            if number > 10 * len(uids):
                raise ProtocolViolation("the peer does not heed what is asked for")
            if uid in uids:
                found[uid] = (
                    values.get(STUDY_INSTANCE_UID, ""),
                    values.get(SERIES_INSTANCE_UID, ""),
                )
        return found

    def _answers(
        self, level: str, known: Values, tags: Collection[int]
    ) -> Iterator[tuple[str, Values]]:
        for number, data in enumerate(self._find(level, known, tags)):
            if number >= MOST_ANSWERS:
                raise ProtocolViolation("answers to a query without end")
            try:
                uid = read_identifier(data, self._context.transfer_syntax)
            except NotUnderstood as error:
                raise ProtocolViolation(f"an answer to a query that is none: {error}") from None
            yield uid, self._understood(data, tags)

    def _understood(self, data: bytes, tags: Iterable[int]) -> Values:
        try:
            return read_values(data, self._context.transfer_syntax, tags)
        except NotUnderstood as error:
            raise ProtocolViolation(f"an answer to a query that is none: {error}") from None

    def _find(self, level: str, known: Values, tags: Iterable[int]) -> Iterator[bytes]:
        syntax = self._context.transfer_syntax
        identifier = encode_identifier(level, known, syntax, wanted=tags)
        for response, data in self._association.find(
            self._context.context_id, sop_class_uid=STUDY_ROOT_FIND, identifier=identifier
        ):
            if response.status in _PENDING:
                yield data
            elif response.status != 0:
                raise QueryRefused(f"query refused with status {response.status:04X}")


def moved(peer: Peer, uids: Collection[str]) -> dict[str, Series]:
    """Where the peer has these instances, as far as it tells; over an association of its own, since
    some peers end it over such a question."""
    try:
        with Queries(peer) as queries:
            return queries.elsewhere(uids)
    except NetError:
        return {}


def present(peer: Peer, series: Collection[Series]) -> dict[Series, frozenset[str]]:
    """SOP instance UIDs that the peer has of each series. A NetError if it does not tell."""
    with Queries(peer) as queries:
        return {one: frozenset(queries.images(one)) for one in series}


def query_due(destination: Destination, settings: DestinationCommitment, ledger: Ledger) -> int:
    """Look at the destination for what is to be proven by a query now; how many were."""
    with ledger.write() as connection:
        asked = commitments.to_check(connection, destination.name, size=AT_ONCE)
        if not asked:
            return 0
        places = commitments.series_of(connection, [one.delivery_id for one in asked])
        # Nobody else looks meanwhile, and we again if we die.
        proofs.check(connection, asked, reason="queried", wait_ms=int(settings.wait * 1000))
    wanted: defaultdict[Series, set[str]] = defaultdict(set)
    for one in asked:
        wanted[places[one.delivery_id]].add(one.sop_instance_uid)
    found = present(peer_of(destination, query=True), wanted)
    there = [one for one in asked if one.sop_instance_uid in found[places[one.delivery_id]]]
    lacking = [one for one in asked if one.sop_instance_uid not in found[places[one.delivery_id]]]
    with ledger.write() as connection:
        proofs.commit(connection, there, FOUND)
        proven(connection, destination.name, there)
        refuse(connection, lacking, NOT_FOUND, settings)
    metrics.COMMITMENTS.labels(destination.name, FOUND).inc(len(there))
    metrics.COMMITMENTS.labels(destination.name, NOT_FOUND.reason).inc(len(lacking))
    log.info(
        "looked for by query",
        destination=destination.name,
        found=len(there),
        not_found=len(lacking),
    )
    return len(asked)

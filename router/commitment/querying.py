"""Proof by query: C-FIND at IMAGE level (PS3.4 C.6.2), series by series."""

from collections import defaultdict
from collections.abc import Collection

from router import metrics
from router.commitment.calling import STUDY_ROOT_FIND, Peer, call, peer_of
from router.commitment.data_sets import TRANSFER_SYNTAXES, NotUnderstood
from router.commitment.hearing import proven, refuse
from router.commitment.identifiers import encode_identifier, read_identifier
from router.commitment.reasons import FOUND, NOT_FOUND
from router.config import Destination, DestinationCommitment
from router.ledger import Ledger, commitments, proofs
from router.logs import get_logger
from router.net.errors import ProtocolViolation

AT_ONCE = 500
_PENDING = (0xFF00, 0xFF01)

Series = tuple[str, str]
"""Study and series instance UID."""

log = get_logger("commitment")


def present(peer: Peer, series: Collection[Series]) -> dict[Series, frozenset[str]]:
    """SOP instance UIDs that the peer has of each series. A NetError if it does not tell."""
    found: dict[Series, frozenset[str]] = {}
    with call(peer, STUDY_ROOT_FIND, TRANSFER_SYNTAXES) as association:
        context = association.context_for(STUDY_ROOT_FIND)
        if context is None:
            raise ProtocolViolation("the peer takes no queries (study root, C-FIND)")
        for study_uid, series_uid in series:
            identifier = encode_identifier(study_uid, series_uid, context.transfer_syntax)
            uids = set()
            for response, data in association.find(
                context.context_id, sop_class_uid=STUDY_ROOT_FIND, identifier=identifier
            ):
                if response.status in _PENDING:
                    uids.add(_instance(data, context.transfer_syntax))
                elif response.status != 0:
                    raise ProtocolViolation(f"query refused with status {response.status:04X}")
            found[study_uid, series_uid] = frozenset(uids)
    return found


def _instance(data: bytes, transfer_syntax_uid: str) -> str:
    try:
        return read_identifier(data, transfer_syntax_uid)
    except NotUnderstood as error:
        raise ProtocolViolation(f"an answer to a query that is none: {error}") from None


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

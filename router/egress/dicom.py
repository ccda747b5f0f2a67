"""Delivers to a Storage SCP over associations that are kept open between drains.

An object goes out on the context of its own syntax, else re-encoded on a fall-back's. A kept
association that its peer has closed meanwhile is nobody's fault: the object goes on a new one.
"""

import secrets
import ssl
from collections.abc import Sequence

from router import metrics
from router.config import Destination, DicomDestination
from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation
from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from router.egress import outcomes, payloads, reencoding
from router.egress.attempts import Attempt
from router.egress.contexts import (
    Negotiated,
    Pair,
    pair_of,
    pairs_to_propose,
    proposal,
)
from router.egress.outcomes import Outcome
from router.egress.pace import throttle
from router.egress.payloads import PayloadUnusable
from router.egress.pool import Keep, Line, Pool, WindowFull
from router.ledger import LeasedDelivery
from router.net.errors import (
    AssociationRejected,
    DataSourceFailed,
    NetError,
    TimedOut,
)
from router.net.requestor import OutgoingAssociation, Timeouts, open_association
from router.net.tls import destination_context
from router.store import Store, StoreUnavailable
from router.transcoding.copies import Copies

# The peer does not know us, or has another name: only a person can change that (PS3.8 9.3.4).
MISCONFIGURED = {(1, 3), (1, 7)}


class DicomChannel:
    """The way to one Storage SCP, for one drain: at most one association at a time."""

    def __init__(
        self,
        destination: Destination,
        settings: DicomDestination,
        store: Store,
        pool: Pool,
        copies: Copies | None = None,
    ) -> None:
        """`copies`: what is decompressed for peers that take nothing of what is stored."""
        self._name = destination.name
        self._settings = settings
        self._store = store
        self._pool = pool
        self._copies = copies
        self._key = (destination.name, settings)
        self._keep = Keep(window=settings.associations, idle=settings.idle, reuse=settings.reuse)
        self._memory = pool.memory(destination.name)
        self._limits = destination.limits
        self._overrides = destination.outcomes
        self._tls: ssl.SSLContext | None = None
        self._line: Line | None = None
        self._stale = False  # the line was kept, and has not answered since
        self._upcoming: tuple[Pair, ...] = ()

    def expect(self, deliveries: Sequence[LeasedDelivery]) -> None:
        self._upcoming = tuple(dict.fromkeys(map(pair_of, deliveries)))
        self._memory.remember(self._upcoming)

    def deliver(self, delivery: LeasedDelivery) -> Attempt:
        try:
            line = self._line_for(pair_of(delivery))
        except WindowFull:
            outcome = outcomes.of_no_association("window_full", "all associations are at work")
            return Attempt(outcome=outcome, retry_soon=True)
        except NetError as error:
            return self._not_opened(error)
        try:
            return self._send(line, delivery)
        except PayloadUnusable as unusable:
            return Attempt(
                outcome=unusable.outcome, association_id=line.id, retry_soon=unusable.away
            )
        except DataSourceFailed as error:
            self._lose(line)
            outcome = outcomes.retry("payload_unreadable", str(error), few_attempts=True)
            away = isinstance(error.__cause__, StoreUnavailable)
            return Attempt(outcome=outcome, association_id=line.id, retry_soon=away)
        except NetError as error:
            self._lose(line)
            if not self._stale:
                return _lost(line, error)
            # Closed by the peer, or cut by a firewall that forgets what is idle: then others
            # that were kept are dead too, and each would cost a time-out.
            self._pool.forget(self._key)
            return self.deliver(delivery)
        except BaseException:
            # Unforeseen, perhaps half-way through an object: nothing may follow on this line.
            self._lose(line)
            raise

    def healthy(self) -> bool:
        """Ask by C-ECHO, on an association of its own; one that has no context for it is alive."""
        self.close()
        verification = ProposedContext(
            context_id=1,
            abstract_syntax=VERIFICATION,
            transfer_syntaxes=(IMPLICIT_VR_LITTLE_ENDIAN,),
        )
        try:
            self._pool.borrow(self._key, self._keep, lambda line: False)
        except WindowFull:
            return True
        try:
            with self._associate((verification,)) as association:
                if association.contexts:
                    association.echo()
        except NetError:
            return False
        finally:
            self._pool.not_opened(self._key)
        return True

    def settle(self) -> Outcome | None:
        """A peer's answer is final."""
        return None

    def close(self) -> None:
        """Keep the association for the next drain."""
        if self._line is not None:
            self._pool.give(self._key, self._line)
            self._line = None

    def _send(self, line: Line, delivery: LeasedDelivery) -> Attempt:
        choices = line.negotiated.choose(pair_of(delivery))
        if not choices:
            return Attempt(outcome=_not_taken(line, delivery), association_id=line.id)
        with (
            payloads.opened(self._store, delivery) as payload,
            reencoding.encoded(payload, delivery, choices, self._copies) as (choice, data),
        ):
            response = line.association.store(
                choice.context_id,
                sop_class_uid=delivery.sop_class_uid,
                sop_instance_uid=delivery.sop_instance_uid,
                data=data,
                pace=throttle(self._limits),
            )
        self._stale = False
        outcome = outcomes.of_status(response.status, self._overrides)
        return Attempt(outcome=outcome, association_id=line.id, answered=True)

    def _line_for(self, pair: Pair) -> Line:
        line = self._line
        if line is not None:
            if line.negotiated.was_asked(pair) and not line.worn:
                return line
            self.close()
        line = self._pool.borrow(
            self._key, self._keep, lambda kept: kept.negotiated.was_asked(pair)
        )
        self._stale = line is not None
        self._line = line if line is not None else self._open(pair)
        return self._line

    def _open(self, pair: Pair) -> Line:
        pairs = pairs_to_propose((pair, *self._upcoming), self._memory.recent_pairs())
        try:
            association = self._associate(proposal(pairs))
        except BaseException:
            self._pool.not_opened(self._key)
            raise
        self._pool.opened(self._key)
        accepted = {
            (context.abstract_syntax, context.transfer_syntax): number
            for number, context in association.contexts.items()
        }
        return Line(
            id=secrets.token_hex(8),
            association=association,
            negotiated=Negotiated(frozenset(pairs), accepted),
            keep=self._keep,
        )

    def _associate(self, contexts: tuple[ProposedContext, ...]) -> OutgoingAssociation:
        settings, limits = self._settings, self._settings.timeouts
        try:
            association = open_association(
                settings.host,
                settings.port,
                AAssociateRq(
                    called_ae_title=settings.ae_title,
                    calling_ae_title=settings.calling_ae_title,
                    presentation_contexts=contexts,
                    user_information=UserInformation(max_length=settings.max_pdu_length),
                ),
                tls=self._tls_context(),
                server_name=settings.tls.server_name if settings.tls else None,
                timeouts=Timeouts(
                    connect=limits.connect,
                    acse=limits.acse,
                    dimse=limits.dimse,
                    network=limits.network,
                ),
            )
        except NetError as error:
            metrics.DESTINATION_ASSOCIATIONS.labels(self._name, error.reason).inc()
            raise
        metrics.DESTINATION_ASSOCIATIONS.labels(self._name, "accepted").inc()
        return association

    def _tls_context(self) -> ssl.SSLContext | None:
        tls = self._settings.tls
        if tls is not None and self._tls is None:
            self._tls = destination_context(tls)
        return self._tls

    def _not_opened(self, error: NetError) -> Attempt:
        # A peer that serves our other associations but takes no more of them is not down, whether
        # it says so or lets the next one wait, as those do that serve one at a time.
        full = isinstance(error, AssociationRejected | TimedOut)
        return Attempt(
            outcome=outcomes.of_no_association(error.reason, str(error)),
            retry_soon=full and self._pool.at_work(self._key) > 0,
            severe=isinstance(error, AssociationRejected)
            and (error.source, error.code) in MISCONFIGURED,
        )

    def _lose(self, line: Line) -> None:
        line.association.abort()
        self._pool.drop(self._key)
        self._line = None


def _lost(line: Line, error: NetError) -> Attempt:
    return Attempt(
        outcome=outcomes.of_lost_association(error.reason, str(error)),
        association_id=line.id,
        lost=True,
        silent=isinstance(error, TimedOut),
    )


def _not_taken(line: Line, delivery: LeasedDelivery) -> Outcome:
    if line.negotiated.takes_class(delivery.sop_class_uid):
        words = f"the peer takes none of the transfer syntaxes offered for {_syntax(delivery)}"
        return outcomes.hold("no_transfer_syntax_accepted", words)
    words = f"the peer does not take SOP class {delivery.sop_class_uid}"
    return outcomes.hold("sop_class_not_accepted", words)


def _syntax(delivery: LeasedDelivery) -> str:
    return f"an object stored in {delivery.transfer_syntax_uid}"

"""Negotiation of an association as pure functions (PS3.8 7.1.1, PS3.7 annex D.3)."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from router.dicom.limits import MIB
from router.dicom.pdus import (
    AAssociateAc,
    AAssociateRj,
    AAssociateRq,
    AnsweredContext,
    AsyncOperations,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from router.dicom.reasons import ContextResult, RejectReason, RejectResult
from router.dicom.uids import (
    APPLICATION_CONTEXT,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    STORAGE_SERVICE_CLASS,
    VERIFICATION,
    is_standard_storage,
    is_valid_uid,
    may_be_storage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedContext:
    """A presentation context in use. Roles are those the association's requestor may take."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    scu_role: bool = True
    scp_role: bool = False


def any_storage(abstract_syntax: str) -> bool:
    """Accept verification and what may be a storage class, private and unknown ones included."""
    return abstract_syntax == VERIFICATION or may_be_storage(abstract_syntax)


def standard_storage(abstract_syntax: str) -> bool:
    """Accept verification and the standard's storage classes."""
    return abstract_syntax == VERIFICATION or is_standard_storage(abstract_syntax)


def requestor_is_scu(_: str) -> tuple[bool, bool]:
    """Allow the default roles alone: (SCU, not SCP)."""
    return True, False


SYNCHRONOUS = AsyncOperations(invoked=1, performed=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What an acceptor agrees to. Every part that is a function is called with UIDs of the request.

    `abstract_syntaxes` and `transfer_syntaxes` say what is supported. Of the supported transfer
    syntaxes of a context the first in `preference` is taken, otherwise the first the peer named.
    `roles` returns which of (SCU, SCP) the requestor may be for a SOP class.
    `extended_negotiation` returns the answer to a SOP class's application information or None;
    `user_identity` the response to an identity whose requestor wants one (checking it, and
    rejecting, is up to the caller before).
    """

    abstract_syntaxes: Callable[[str], bool] = any_storage
    transfer_syntaxes: Callable[[str], bool] = is_valid_uid
    preference: tuple[str, ...] = ()
    max_length: int = MIB
    roles: Callable[[str], tuple[bool, bool]] = requestor_is_scu
    async_operations: AsyncOperations = SYNCHRONOUS
    extended_negotiation: Callable[[ExtendedNegotiation], bytes | None] = lambda _: None
    user_identity: Callable[[UserIdentity], bytes] = lambda _: b""
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str | None = IMPLEMENTATION_VERSION_NAME


def refusal(request: AAssociateRq) -> AAssociateRj | None:
    """Return the reject for a request that no acceptor of this layer can speak with, or None."""
    if not request.protocol_version & 1:
        reason = RejectReason.PROTOCOL_VERSION_NOT_SUPPORTED
    elif request.application_context_name != APPLICATION_CONTEXT:
        reason = RejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
    else:
        return None
    return AAssociateRj(result=RejectResult.PERMANENT, source=reason.source, reason=reason.reason)


def negotiate(request: AAssociateRq, acceptance: Acceptance) -> AAssociateAc:
    """Return the acceptance that answers every context and item of `request`."""
    related = _related_classes(request.user_information)
    contexts = tuple(
        _answer(context, acceptance, related) for context in request.presentation_contexts
    )
    accepted = {
        proposed.abstract_syntax
        for proposed, answer in zip(request.presentation_contexts, contexts, strict=True)
        if answer.result == ContextResult.ACCEPTANCE
    }
    return AAssociateAc(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=contexts,
        user_information=_answer_information(request.user_information, acceptance, accepted),
    )


def negotiated_contexts(
    request: AAssociateRq, accept: AAssociateAc
) -> dict[int, NegotiatedContext]:
    """Return the contexts both sides agreed on, by identifier.

    An answer to a context that was not proposed, or with a transfer syntax that was not, is left
    out: nothing can be sent on it.
    """
    answers = {answer.context_id: answer for answer in accept.presentation_contexts}
    roles = _agreed_roles(request, accept)
    contexts = {}
    for proposed in request.presentation_contexts:
        answer = answers.get(proposed.context_id)
        if answer is None or answer.result != ContextResult.ACCEPTANCE:
            continue
        if answer.transfer_syntax not in proposed.transfer_syntaxes:
            continue
        scu_role, scp_role = roles.get(proposed.abstract_syntax, (True, False))
        contexts[proposed.context_id] = NegotiatedContext(
            context_id=proposed.context_id,
            abstract_syntax=proposed.abstract_syntax,
            transfer_syntax=answer.transfer_syntax,
            scu_role=scu_role,
            scp_role=scp_role,
        )
    return contexts


def _related_classes(information: UserInformation) -> Mapping[str, tuple[str, ...]]:
    """The storage classes a class says it belongs to (common extended negotiation)."""
    return {
        item.sop_class_uid: item.related_general_sop_class_uids
        for item in information.common_extended_negotiations
        if item.service_class_uid == STORAGE_SERVICE_CLASS
    }


def _answer(
    context: ProposedContext, acceptance: Acceptance, related: Mapping[str, tuple[str, ...]]
) -> AnsweredContext:
    supports = acceptance.abstract_syntaxes
    general = related.get(context.abstract_syntax, ())
    transfer_syntax = ""
    if not supports(context.abstract_syntax) and not any(map(supports, general)):
        result = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    else:
        transfer_syntax = _chosen(context.transfer_syntaxes, acceptance)
        accepted = ContextResult.ACCEPTANCE
        result = accepted if transfer_syntax else ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    return AnsweredContext(
        context_id=context.context_id, result=result, transfer_syntax=transfer_syntax
    )


def _chosen(proposed: tuple[str, ...], acceptance: Acceptance) -> str:
    preferred = [uid for uid in acceptance.preference if uid in proposed]
    return next(filter(acceptance.transfer_syntaxes, (*preferred, *proposed)), "")


def _answer_information(
    asked: UserInformation, acceptance: Acceptance, accepted: Collection[str]
) -> UserInformation:
    identity = asked.user_identity
    wants_response = identity is not None and identity.response_requested
    return UserInformation(
        max_length=acceptance.max_length,
        implementation_class_uid=acceptance.implementation_class_uid,
        implementation_version_name=acceptance.implementation_version_name,
        async_operations=_window(asked.async_operations, acceptance.async_operations),
        role_selections=tuple(
            _answer_role(role, acceptance)
            for role in asked.role_selections
            if role.sop_class_uid in accepted
        ),
        extended_negotiations=_answer_extended(asked, acceptance, accepted),
        user_identity_response=(
            acceptance.user_identity(identity) if identity and wants_response else None
        ),
    )


def _answer_role(role: RoleSelection, acceptance: Acceptance) -> RoleSelection:
    scu, scp = acceptance.roles(role.sop_class_uid)
    return RoleSelection(
        sop_class_uid=role.sop_class_uid,
        scu_role=role.scu_role and scu,
        scp_role=role.scp_role and scp,
    )


def _answer_extended(
    asked: UserInformation, acceptance: Acceptance, accepted: Collection[str]
) -> tuple[ExtendedNegotiation, ...]:
    answers = (
        (item.sop_class_uid, acceptance.extended_negotiation(item))
        for item in asked.extended_negotiations
        if item.sop_class_uid in accepted
    )
    return tuple(
        ExtendedNegotiation(sop_class_uid=uid, application_information=information)
        for uid, information in answers
        if information is not None
    )


def _window(asked: AsyncOperations | None, ours: AsyncOperations) -> AsyncOperations | None:
    """The requestor invokes what we perform and the other way round (PS3.7 D.3.3.3)."""
    if asked is None:
        return None
    return AsyncOperations(
        invoked=_smaller(asked.invoked, ours.performed),
        performed=_smaller(asked.performed, ours.invoked),
    )


def _smaller(one: int, other: int) -> int:
    """The smaller of two numbers of operations, of which 0 is unlimited."""
    return min(one, other) if one and other else one or other


def _agreed_roles(request: AAssociateRq, accept: AAssociateAc) -> dict[str, tuple[bool, bool]]:
    """Roles the requestor asked for and the acceptor returned (PS3.7 D.3.3.4.2)."""
    asked = {role.sop_class_uid: role for role in request.user_information.role_selections}
    agreed = {}
    for answer in accept.user_information.role_selections:
        wanted = asked.get(answer.sop_class_uid)
        if wanted is not None:
            agreed[answer.sop_class_uid] = (
                wanted.scu_role and answer.scu_role,
                wanted.scp_role and answer.scp_role,
            )
    return agreed

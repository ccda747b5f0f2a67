"""Negotiation as a function: a request and a policy in, an acceptance out."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dicom.negotiation import (
    Acceptance,
    any_storage,
    negotiate,
    negotiated_contexts,
    refusal,
    standard_storage,
)
from router.dicom.pdus import (
    AAssociateAc,
    AAssociateRq,
    AnsweredContext,
    AsyncOperations,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    ProposedContext,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from router.dicom.reasons import ContextResult
from router.dicom.uids import STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_SERVICE_CLASS, VERIFICATION
from tests.router.dicom.material import (
    CT,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    MR,
    acceptances,
    bytes_,
    request_for,
    requests,
)

PRIVATE = "1.3.6.1.4.1.99999.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def results(accept: AAssociateAc) -> list[tuple[int, int, str]]:
    return [(c.context_id, c.result, c.transfer_syntax) for c in accept.presentation_contexts]


def test_every_context_is_answered_in_order() -> None:
    accept = negotiate(request_for(CT, FIND, MR, VERIFICATION), Acceptance())
    assert results(accept) == [(1, 0, JPEG), (3, 3, ""), (5, 0, JPEG), (7, 0, JPEG)]


def test_a_context_without_a_supported_transfer_syntax_is_refused_for_that() -> None:
    acceptance = Acceptance(transfer_syntaxes=frozenset({"1.2.3"}).__contains__)
    assert results(negotiate(request_for(CT, FIND), acceptance)) == [(1, 4, ""), (3, 3, "")]


@pytest.mark.parametrize(
    ("preference", "chosen"),
    [((), JPEG), ((IMPLICIT,), IMPLICIT), (("1.2.3", EXPLICIT, JPEG), EXPLICIT)],
)
def test_the_preference_decides_then_the_peers_order(
    preference: tuple[str, ...], chosen: str
) -> None:
    accept = negotiate(request_for(CT), Acceptance(preference=preference))
    assert results(accept) == [(1, 0, chosen)]


def test_what_is_preferred_must_still_be_supported() -> None:
    acceptance = Acceptance(
        preference=(JPEG, IMPLICIT), transfer_syntaxes=frozenset({IMPLICIT}).__contains__
    )
    assert results(negotiate(request_for(CT), acceptance)) == [(1, 0, IMPLICIT)]


def test_policies_for_storage() -> None:
    assert any_storage(CT)
    assert any_storage(PRIVATE)
    assert any_storage(VERIFICATION)
    assert not any_storage(FIND)
    assert not any_storage(STORAGE_COMMITMENT_PUSH_MODEL)
    assert standard_storage(CT)
    assert standard_storage(VERIFICATION)
    assert not standard_storage(PRIVATE)
    assert not standard_storage(FIND)


@pytest.mark.parametrize(
    ("service_class", "related", "result"),
    [
        (STORAGE_SERVICE_CLASS, (MR, CT), ContextResult.ACCEPTANCE),
        (STORAGE_SERVICE_CLASS, (FIND,), ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED),
        (STORAGE_SERVICE_CLASS, (), ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED),
        ("1.2.3", (CT,), ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED),
    ],
)
def test_an_unknown_class_is_taken_for_the_general_one_it_says_it_is(
    service_class: str, related: tuple[str, ...], result: ContextResult
) -> None:
    item = CommonExtendedNegotiation(
        sop_class_uid=PRIVATE,
        service_class_uid=service_class,
        related_general_sop_class_uids=related,
    )
    request = request_for(PRIVATE, common_extended_negotiations=(item,))
    accept = negotiate(request, Acceptance(abstract_syntaxes=standard_storage))
    assert accept.presentation_contexts[0].result == result


# Roles.


def role(uid: str, scu: bool, scp: bool) -> RoleSelection:
    return RoleSelection(sop_class_uid=uid, scu_role=scu, scp_role=scp)


@pytest.mark.parametrize(
    ("asked", "allowed", "agreed"),
    [
        ((True, True), (True, True), (True, True)),
        ((False, True), (True, True), (False, True)),
        ((True, True), (True, False), (True, False)),
        ((False, True), (True, False), (False, False)),
    ],
)
def test_roles_are_those_asked_for_and_allowed(
    asked: tuple[bool, bool], allowed: tuple[bool, bool], agreed: tuple[bool, bool]
) -> None:
    request = request_for(CT, MR, role_selections=(role(CT, *asked),))
    accept = negotiate(request, Acceptance(roles=lambda _: allowed))
    assert accept.user_information.role_selections == (role(CT, *agreed),)
    contexts = negotiated_contexts(request, accept)
    assert (contexts[1].scu_role, contexts[1].scp_role) == agreed
    assert (contexts[3].scu_role, contexts[3].scp_role) == (True, False)


def test_without_an_answer_to_a_role_the_default_holds() -> None:
    request = request_for(CT, role_selections=(role(CT, False, True),))
    accept = negotiate(request_for(CT), Acceptance())
    context = negotiated_contexts(request, accept)[1]
    assert (context.scu_role, context.scp_role) == (True, False)


def test_a_role_that_was_not_asked_for_counts_for_nothing() -> None:
    asked = request_for(CT, role_selections=(role(CT, True, True),))
    accept = negotiate(asked, Acceptance(roles=lambda _: (True, True)))
    context = negotiated_contexts(request_for(CT), accept)[1]
    assert (context.scu_role, context.scp_role) == (True, False)


def test_an_answer_cannot_give_more_roles_than_were_asked_for() -> None:
    generous = negotiate(
        request_for(CT, role_selections=(role(CT, True, True),)),
        Acceptance(roles=lambda _: (True, True)),
    )
    asked = request_for(CT, role_selections=(role(CT, False, True),))
    context = negotiated_contexts(asked, generous)[1]
    assert (context.scu_role, context.scp_role) == (False, True)


def test_items_of_refused_classes_are_not_answered() -> None:
    item = ExtendedNegotiation(sop_class_uid=FIND, application_information=b"\1")
    request = request_for(
        FIND, role_selections=(role(FIND, True, True),), extended_negotiations=(item,)
    )
    acceptance = Acceptance(extended_negotiation=lambda item: item.application_information)
    information = negotiate(request, acceptance).user_information
    assert information.role_selections == ()
    assert information.extended_negotiations == ()


# The other items.


def test_extended_negotiation_is_answered_where_there_is_an_answer() -> None:
    items = tuple(
        ExtendedNegotiation(sop_class_uid=uid, application_information=b"\2\0\0\0")
        for uid in (CT, MR)
    )
    acceptance = Acceptance(
        extended_negotiation=lambda item: b"\1" if item.sop_class_uid == CT else None
    )
    accept = negotiate(request_for(CT, MR, extended_negotiations=items), acceptance)
    answer = ExtendedNegotiation(sop_class_uid=CT, application_information=b"\1")
    assert accept.user_information.extended_negotiations == (answer,)


@pytest.mark.parametrize(
    ("asked", "ours", "agreed"),
    [
        ((1, 1), (1, 1), (1, 1)),
        ((8, 4), (2, 3), (3, 2)),
        ((0, 0), (2, 3), (3, 2)),
        ((5, 6), (0, 0), (5, 6)),
        ((0, 0), (0, 0), (0, 0)),
    ],
)
def test_the_operations_window_is_the_smaller_each_way(
    asked: tuple[int, int], ours: tuple[int, int], agreed: tuple[int, int]
) -> None:
    def window(numbers: tuple[int, int]) -> AsyncOperations:
        return AsyncOperations(invoked=numbers[0], performed=numbers[1])

    accept = negotiate(
        request_for(CT, async_operations=window(asked)), Acceptance(async_operations=window(ours))
    )
    assert accept.user_information.async_operations == window(agreed)


def test_no_window_is_returned_unasked() -> None:
    assert negotiate(request_for(CT), Acceptance()).user_information.async_operations is None


@pytest.mark.parametrize(("wanted", "response"), [(True, b"ticket"), (False, None)])
def test_a_user_identity_gets_a_response_only_when_it_wants_one(
    wanted: bool, response: bytes | None
) -> None:
    identity = UserIdentity(identity_type=3, primary=b"me", response_requested=wanted)
    acceptance = Acceptance(user_identity=lambda _: b"ticket")
    accept = negotiate(request_for(CT, user_identity=identity), acceptance)
    assert accept.user_information.user_identity_response == response
    assert accept.user_information.user_identity is None


def test_an_acceptance_repeats_titles_and_says_who_we_are() -> None:
    accept = negotiate(request_for(CT), Acceptance(max_length=5000))
    assert (accept.called_ae_title, accept.calling_ae_title) == ("ROUTER", "CT01")
    assert accept.user_information.max_length == 5000
    assert accept.user_information.implementation_class_uid.startswith("2.25.")
    assert accept.user_information.implementation_version_name == "DICOM_ROUTER_01"


# What cannot be spoken with at all.


def test_other_versions_and_application_contexts_are_refused() -> None:
    request = request_for(CT)
    assert refusal(request) is None
    assert refusal(dataclasses.replace(request, protocol_version=3)) is None
    version = refusal(dataclasses.replace(request, protocol_version=2))
    assert version is not None
    assert (version.result, version.source, version.reason) == (1, 2, 2)
    context = refusal(dataclasses.replace(request, application_context_name="1.2"))
    assert context is not None
    assert (context.result, context.source, context.reason) == (1, 1, 2)


# What an acceptor may get wrong.


def accepted(context_id: int, transfer_syntax: str) -> AAssociateAc:
    return AAssociateAc(
        called_ae_title="B",
        calling_ae_title="A",
        presentation_contexts=(
            AnsweredContext(context_id=context_id, transfer_syntax=transfer_syntax),
        ),
        user_information=UserInformation(),
    )


@pytest.mark.parametrize(("context_id", "syntax"), [(5, JPEG), (1, "1.2.3"), (1, "")])
def test_answers_to_what_was_not_proposed_are_not_used(context_id: int, syntax: str) -> None:
    assert negotiated_contexts(request_for(CT), accepted(context_id, syntax)) == {}


@given(requests)
def test_a_negotiation_is_total_and_answers_each_context_once(request: AAssociateRq) -> None:
    accept = negotiate(request, Acceptance())
    asked = [context.context_id for context in request.presentation_contexts]
    assert [context.context_id for context in accept.presentation_contexts] == asked
    for context in negotiated_contexts(request, accept).values():
        (proposed,) = (
            c for c in request.presentation_contexts if c.context_id == context.context_id
        )
        assert context.transfer_syntax in proposed.transfer_syntaxes
        assert context.abstract_syntax == proposed.abstract_syntax


@given(requests, acceptances)
def test_any_acceptance_leaves_only_what_was_proposed(
    request: AAssociateRq, accept: AAssociateAc
) -> None:
    proposed = {c.context_id: c for c in request.presentation_contexts}
    for context in negotiated_contexts(request, accept).values():
        assert context.transfer_syntax in proposed[context.context_id].transfer_syntaxes


@given(st.lists(bytes_, unique=True, max_size=128))
def test_any_identifiers_are_answered(identifiers: list[int]) -> None:
    contexts = tuple(
        ProposedContext(context_id=number, abstract_syntax=CT, transfer_syntaxes=(IMPLICIT,))
        for number in identifiers
    )
    request = dataclasses.replace(request_for(CT), presentation_contexts=contexts)
    assert set(negotiated_contexts(request, negotiate(request, Acceptance()))) == set(identifiers)

"""What the tests of the DICOM layer share: strategies for everything on the wire, and two
associations joined back to back."""

import dataclasses
from collections.abc import Iterator
from typing import Any, TypeVar

from hypothesis import strategies as st

from router.dicom import pdus
from router.dicom.association import Association
from router.dicom.command_sets import COMMAND_TYPES
from router.dicom.commands import Command, CStoreRq
from router.dicom.events import AssociationAccepted, AssociationRequested, Closed, Event
from router.dicom.negotiation import Acceptance, negotiate
from router.dicom.pdus import AAssociateRq, Pdu, ProposedContext, UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.70"


T = TypeVar("T")
C = TypeVar("C", pdus.ProposedContext, pdus.AnsweredContext)

# Strategies.

numbers = st.integers(0, 0xFFFF)
bytes_ = st.integers(0, 0xFF)
uids = st.lists(st.integers(0, 99999), min_size=1, max_size=6).map(
    lambda components: ".".join(map(str, components))
)
titles = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\"), max_size=16
).map(str.strip)
texts = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="\\"), max_size=16
)
tags = st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=5).map(tuple)
max_lengths = st.just(0) | st.integers(8, 0xFFFFFFFF)


def _tuples(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


proposed_contexts = st.builds(
    pdus.ProposedContext,
    context_id=bytes_,
    abstract_syntax=uids,
    transfer_syntaxes=_tuples(uids),
)
answered_contexts = st.builds(
    pdus.AnsweredContext, context_id=bytes_, result=bytes_, transfer_syntax=uids
)
user_identities = st.builds(
    pdus.UserIdentity,
    identity_type=bytes_,
    primary=st.binary(max_size=40),
    secondary=st.binary(max_size=40),
    response_requested=st.booleans(),
)
user_informations = st.builds(
    pdus.UserInformation,
    max_length=max_lengths,
    implementation_class_uid=uids,
    implementation_version_name=st.none() | texts,
    async_operations=st.none()
    | st.builds(pdus.AsyncOperations, invoked=numbers, performed=numbers),
    role_selections=_tuples(
        st.builds(
            pdus.RoleSelection,
            sop_class_uid=uids,
            scu_role=st.booleans(),
            scp_role=st.booleans(),
        )
    ),
    extended_negotiations=_tuples(
        st.builds(
            pdus.ExtendedNegotiation,
            sop_class_uid=uids,
            application_information=st.binary(max_size=20),
        )
    ),
    common_extended_negotiations=_tuples(
        st.builds(
            pdus.CommonExtendedNegotiation,
            sop_class_uid=uids,
            service_class_uid=uids,
            related_general_sop_class_uids=_tuples(uids),
        )
    ),
    user_identity=st.none() | user_identities,
    user_identity_response=st.none() | st.binary(max_size=40),
)


def _distinct(
    contexts: st.SearchStrategy[C],
) -> st.SearchStrategy[tuple[C, ...]]:
    several = st.lists(contexts, max_size=3, unique_by=lambda context: context.context_id)
    return several.map(tuple)


requests = st.builds(
    pdus.AAssociateRq,
    called_ae_title=titles,
    calling_ae_title=titles,
    presentation_contexts=_distinct(proposed_contexts),
    user_information=user_informations,
    application_context_name=uids,
    protocol_version=numbers,
)
acceptances = st.builds(
    pdus.AAssociateAc,
    called_ae_title=titles,
    calling_ae_title=titles,
    presentation_contexts=_distinct(answered_contexts),
    user_information=user_informations,
    application_context_name=uids,
    protocol_version=numbers,
)
rejections = st.builds(pdus.AAssociateRj, result=bytes_, source=bytes_, reason=bytes_)
aborts = st.builds(pdus.AAbort, source=bytes_, reason=bytes_)
releases = st.just(pdus.AReleaseRq()) | st.just(pdus.AReleaseRp())
control_pdus: st.SearchStrategy[Pdu] = st.one_of(
    requests, acceptances, rejections, aborts, releases
)
data_pdus = st.builds(
    pdus.PDataTf,
    values=st.lists(
        st.builds(
            pdus.PresentationDataValue,
            context_id=bytes_,
            is_command=st.booleans(),
            is_last=st.booleans(),
            data=st.binary(max_size=30),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
)

_FIELD_STRATEGIES: dict[str, st.SearchStrategy[object]] = {
    "affected_sop_class_uid": uids,
    "requested_sop_class_uid": uids,
    "affected_sop_instance_uid": uids,
    "requested_sop_instance_uid": uids,
    "move_destination": titles.filter(bool),
    "move_originator_ae_title": titles.filter(bool),
    "error_comment": texts.filter(bool),
    "offending_element": tags,
    "attribute_identifier_list": tags,
}


def commands_of(command_type: type[Command]) -> st.SearchStrategy[Command]:
    """Return commands of one type, optional fields there or not."""
    fields: dict[str, st.SearchStrategy[object]] = {}
    for field in dataclasses.fields(command_type):
        strategy = _FIELD_STRATEGIES.get(field.name, numbers)
        if field.default is None or field.default == ():
            strategy = st.just(field.default) | strategy
        fields[field.name] = strategy
    return st.builds(command_type, **fields)


commands: st.SearchStrategy[Command] = st.one_of([commands_of(kind) for kind in COMMAND_TYPES])


# Two ends.


def request_for(
    *abstract_syntaxes: str, max_length: int = 16384, **information: Any
) -> AAssociateRq:
    """Return a request that proposes each class with three transfer syntaxes."""
    return AAssociateRq(
        called_ae_title="ROUTER",
        calling_ae_title="CT01",
        presentation_contexts=tuple(
            ProposedContext(
                context_id=2 * number + 1,
                abstract_syntax=uid,
                transfer_syntaxes=(JPEG, EXPLICIT, IMPLICIT),
            )
            for number, uid in enumerate(abstract_syntaxes or (CT,))
        ),
        user_information=dataclasses.replace(UserInformation(max_length=max_length), **information),
    )


STORE_RQ = CStoreRq(message_id=7, affected_sop_class_uid=CT, affected_sop_instance_uid="1.2.3.4.5")


class Pair:
    """A requestor and an acceptor, each fed what the other has to say."""

    def __init__(
        self, request: AAssociateRq | None = None, acceptance: Acceptance | None = None
    ) -> None:
        self.requestor = Association.requestor(request or request_for(), now=0.0)
        self.acceptor = Association.acceptor(now=0.0)
        (asked,) = self.to_acceptor()
        assert isinstance(asked, AssociationRequested)
        self.acceptor.accept(negotiate(asked.request, acceptance or Acceptance()))
        (accepted,) = self.to_requestor()
        assert isinstance(accepted, AssociationAccepted)

    def to_acceptor(self) -> list[Event]:
        """Hand on what the requestor sends; return what it means to the acceptor."""
        self.acceptor.receive(self.requestor.outgoing())
        return list(events_of(self.acceptor))

    def to_requestor(self) -> list[Event]:
        """Hand on what the acceptor sends; return what it means to the requestor."""
        self.requestor.receive(self.acceptor.outgoing())
        return list(events_of(self.requestor))


def events_of(association: Association) -> Iterator[Event]:
    """Yield events until bytes are missing or the association is closed, that included."""
    while (event := association.next_event()) is not None:
        yield event
        if isinstance(event, Closed):
            return


def message_bytes(
    association: Association, context_id: int, command: Command, data: bytes
) -> bytes:
    """Return the bytes of a message with a data set, as the shell would write them."""
    association.send_command(context_id, command, has_data=True)
    parts = [association.outgoing()]
    at = 0
    for header, length in association.data_headers(context_id, len(data)):
        parts += [header, data[at : at + length]]
        at += length
    assert at == len(data)
    return b"".join(parts)

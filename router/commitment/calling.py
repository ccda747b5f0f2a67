"""Associations of commitment: to ask a destination, to query it, to report to a modality."""

from dataclasses import dataclass

from router.config import Destination, DestinationTimeouts, DestinationTls
from router.dicom.pdus import AAssociateRq, ProposedContext, RoleSelection, UserInformation
from router.dicom.uids import STORAGE_COMMITMENT_PUSH_MODEL
from router.net.requestor import OutgoingAssociation, Serve, Timeouts, open_association
from router.net.tls import destination_context

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom to call, and how."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str
    tls: DestinationTls | None = None
    timeouts: DestinationTimeouts


def peer_of(destination: Destination, *, query: bool = False) -> Peer:
    """Where a destination is asked to commit, or where it answers queries."""
    dicom, settings = destination.dicom, destination.commitment
    assert dicom is not None  # a folder is never asked (config)
    other = settings.query if query and settings is not None else None
    return Peer(
        host=(other and other.host) or dicom.host,
        port=(other and other.port) or dicom.port,
        called_ae_title=(other and other.ae_title) or dicom.ae_title,
        calling_ae_title=dicom.calling_ae_title,
        tls=dicom.tls,
        timeouts=dicom.timeouts,
    )


def call(
    peer: Peer,
    sop_class_uid: str,
    transfer_syntaxes: tuple[str, ...],
    *,
    scp_role: bool = False,
    serve: Serve | None = None,
) -> OutgoingAssociation:
    """Associate with one context for this SOP class; a NetError. `scp_role`: we are its SCP, who
    reports (PS3.4 J.3.3); the roles are said only where both are possible."""
    roles: tuple[RoleSelection, ...] = ()
    if sop_class_uid == STORAGE_COMMITMENT_PUSH_MODEL:
        role = RoleSelection(sop_class_uid=sop_class_uid, scu_role=not scp_role, scp_role=scp_role)
        roles = (role,)
    limits = peer.timeouts
    return open_association(
        peer.host,
        peer.port,
        AAssociateRq(
            called_ae_title=peer.called_ae_title,
            calling_ae_title=peer.calling_ae_title,
            presentation_contexts=(
                ProposedContext(
                    context_id=1,
                    abstract_syntax=sop_class_uid,
                    transfer_syntaxes=transfer_syntaxes,
                ),
            ),
            user_information=UserInformation(role_selections=roles),
        ),
        tls=destination_context(peer.tls) if peer.tls else None,
        server_name=peer.tls.server_name if peer.tls else None,
        timeouts=Timeouts(
            connect=limits.connect, acse=limits.acse, dimse=limits.dimse, network=limits.network
        ),
        serve=serve,
    )

"""What a peer may make us hold or do, and when waiting ends; each limit says why."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds of what is accepted from a peer, in bytes or counts."""

    # A-ASSOCIATE is held whole. 128 contexts with 40 transfer syntaxes of 70 bytes make 360 KB,
    # a SAML assertion may add its 64 KB; DCMTK and others stop far earlier.
    association_pdu_length: int = MIB
    # P-DATA-TF is streamed, so its length costs nothing: a peer that ignores our maximum length
    # is served rather than its images lost. Beyond this it is noise read as a header.
    data_pdu_length: int = 256 * MIB
    # Application context, user information and the contexts; room for items not known yet. With
    # the next three it bounds the work that one A-ASSOCIATE of many tiny items makes.
    items: int = 256
    # Identifiers are odd bytes: 128 exist (PS3.8 9.3.2.2).
    presentation_contexts: int = 128
    # The standard knows some 60 transfer syntaxes; room for private ones.
    transfer_syntaxes: int = 256
    # Sub-items of user information of all kinds: role selection and both extended negotiations
    # once for each of 128 contexts, and the few single ones.
    user_items: int = 512
    # The longest command set is an N-GET of an attribute list; 16,000 attributes fit.
    command_set_length: int = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """How long to wait, in seconds."""

    # PS3.8 9.1.5 leaves ARTIM's length open; 30 s is what most implementations use.
    artim: float = 30.0
    # For the peer's answer to our A-ASSOCIATE-RQ or A-RELEASE-RQ; None: the shell watches over it.
    answer: float | None = None


# Largest P-DATA-TF we build, even where a peer allows more or any (0): one known peer hung on a
# PDU of 200 MB, and beyond 1 MiB nothing gets faster.
LARGEST_SENT_PDU = MIB

# A fragment's header (6 bytes) and two bytes of data: below that nothing can be sent.
SMALLEST_MAX_LENGTH = 8

# A receive buffer starts small, since most associations idle, and grows where reads fill it.
SMALLEST_BUFFER = 16 * KIB
LARGEST_BUFFER = 256 * KIB

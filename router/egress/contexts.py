"""Which presentation contexts to propose, and which context an object goes out on.

Pure. One context per SOP class and transfer syntax, so that the choice stays with us: a peer
that is offered several in one context picks one, seldom the stored one. Per SOP class: the
stored syntaxes, each alone, then Explicit and Implicit VR Little Endian as fall-backs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from router.dicom.pdus import ProposedContext
from router.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

MOST_CONTEXTS = 128  # context ids are the odd numbers 1..255, PS3.8 9.3.2.2
FALL_BACKS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

Pair = tuple[str, str]  # SOP class UID, transfer syntax UID


class Owed(Protocol):
    """What of a leased delivery matters here."""

    @property
    def sop_class_uid(self) -> str: ...
    @property
    def transfer_syntax_uid(self) -> str: ...


def pair_of(owed: Owed) -> Pair:
    return owed.sop_class_uid, owed.transfer_syntax_uid


def pairs_to_propose(needed: Iterable[Pair], remembered: Iterable[Pair] = ()) -> tuple[Pair, ...]:
    """The pairs for one association, at most 128, in order of need.

    What is queued now comes first, then pairs that this destination has taken lately, so that
    the next objects find their context on the association that is open. A pair whose contexts
    do not all fit is left for another association.
    """
    chosen: dict[Pair, None] = {}
    for pair in (*needed, *remembered):
        wanted = [p for p in _with_fall_backs(pair) if p not in chosen]
        if len(chosen) + len(wanted) <= MOST_CONTEXTS:
            chosen.update(dict.fromkeys(wanted))
    return tuple(chosen)


def proposal(pairs: Sequence[Pair]) -> tuple[ProposedContext, ...]:
    """The pairs as proposed presentation contexts with ids 1, 3, 5, ..."""
    return tuple(
        ProposedContext(
            context_id=2 * n + 1, abstract_syntax=sop_class, transfer_syntaxes=(syntax,)
        )
        for n, (sop_class, syntax) in enumerate(pairs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The context an object goes out on, and the syntax it must be in."""

    context_id: int
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What one association asked for, and which of it the peer took (pair to context id)."""

    asked: frozenset[Pair]
    accepted: Mapping[Pair, int]

    def was_asked(self, pair: Pair) -> bool:
        """Whether the peer has answered for this pair: if not, another association must ask."""
        return pair in self.asked

    def takes_class(self, sop_class_uid: str) -> bool:
        return any(sop_class == sop_class_uid for sop_class, _ in self.accepted)

    def choose(self, pair: Pair) -> tuple[Choice, ...]:
        """The ways an object of this pair may go out: as stored, else by the fall-backs."""
        sop_class, _ = pair
        stored = self.accepted.get(pair)
        if stored is not None:
            return (Choice(context_id=stored, transfer_syntax_uid=pair[1]),)
        return tuple(
            Choice(context_id=self.accepted[sop_class, syntax], transfer_syntax_uid=syntax)
            for syntax in FALL_BACKS
            if (sop_class, syntax) in self.accepted
        )


def _with_fall_backs(pair: Pair) -> tuple[Pair, ...]:
    sop_class, _ = pair
    return tuple(dict.fromkeys((pair, *((sop_class, syntax) for syntax in FALL_BACKS))))

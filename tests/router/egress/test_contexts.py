"""What is proposed, and on which context an object goes out."""

from hypothesis import given
from hypothesis import strategies as st

from router.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN as ELE
from router.dicom.uids import IMPLICIT_VR_LITTLE_ENDIAN as ILE
from router.egress.contexts import (
    MOST_CONTEXTS,
    Choice,
    Negotiated,
    pairs_to_propose,
    proposal,
)

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
JPEG = "1.2.840.10008.1.2.4.50"


def test_the_stored_syntax_comes_first_and_each_syntax_has_a_context_of_its_own():
    contexts = proposal(pairs_to_propose([(CT, JPEG)]))
    assert [(c.context_id, c.abstract_syntax, c.transfer_syntaxes) for c in contexts] == [
        (1, CT, (JPEG,)),
        (3, CT, (ELE,)),
        (5, CT, (ILE,)),
    ]


def test_a_pair_is_proposed_once():
    assert pairs_to_propose([(CT, ILE), (CT, ILE), (CT, ELE)]) == ((CT, ILE), (CT, ELE))


def test_what_is_queued_comes_before_what_is_remembered():
    pairs = pairs_to_propose([(MR, ELE)], remembered=[(CT, ELE), (MR, ELE)])
    assert pairs == ((MR, ELE), (MR, ILE), (CT, ELE), (CT, ILE))


def test_more_pairs_than_contexts_leave_the_rest_for_another_association():
    classes = [f"1.2.3.{n}" for n in range(200)]
    pairs = pairs_to_propose([(c, JPEG) for c in classes])
    assert len(pairs) <= MOST_CONTEXTS
    assert proposal(pairs)[-1].context_id <= 255
    left = [(c, JPEG) for c in classes if (c, JPEG) not in pairs]
    assert left[0] == ("1.2.3.42", JPEG)


UIDS = st.integers(1, 90).map(lambda n: f"1.2.{n}")


@given(st.lists(st.tuples(UIDS, UIDS), min_size=1), st.lists(st.tuples(UIDS, UIDS)))
def test_a_proposal_is_legal_and_always_takes_the_head_of_the_queue(needed, remembered):
    pairs = pairs_to_propose(needed, remembered)
    contexts = proposal(pairs)
    assert needed[0] in pairs
    assert 1 <= len(contexts) <= 128
    ids = [c.context_id for c in contexts]
    assert len(set(ids)) == len(ids)
    assert all(1 <= i <= 255 and i % 2 == 1 for i in ids)


def test_an_object_goes_out_as_it_is_stored_where_the_peer_takes_that():
    peer = Negotiated(frozenset([(CT, JPEG), (CT, ELE)]), {(CT, JPEG): 1, (CT, ELE): 3})
    assert peer.choose((CT, JPEG)) == (Choice(context_id=1, transfer_syntax_uid=JPEG),)


def test_the_fall_backs_are_explicit_then_implicit_little_endian():
    peer = Negotiated(frozenset([(CT, JPEG)]), {(CT, ILE): 5, (CT, ELE): 3})
    assert [c.transfer_syntax_uid for c in peer.choose((CT, JPEG))] == [ELE, ILE]
    assert peer.choose((MR, JPEG)) == ()
    assert peer.takes_class(CT)
    assert not peer.takes_class(MR)

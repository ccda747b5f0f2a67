"""Who is sick: the object or its destination?"""

from dataclasses import dataclass

from router.egress import suspects
from router.egress.suspects import Suspects, Verdict


@dataclass(frozen=True)
class Owed:
    id: int
    sop_class_uid: str = "1.2.1"
    transfer_syntax_uid: str = "1.2"


def test_one_loss_proves_nothing():
    assert Suspects().lost(Owed(1), silent=False) is Verdict.AGAIN


def test_an_object_that_is_lost_again_while_others_pass_is_guilty():
    memory = Suspects()
    memory.lost(Owed(1), silent=False)
    memory.passed(2)
    assert memory.lost(Owed(1), silent=False) is Verdict.OBJECT
    assert memory.lost(Owed(1), silent=True) is Verdict.OBJECT


def test_different_objects_in_a_row_are_the_destinations_fault():
    memory = Suspects()
    verdicts = [memory.lost(Owed(n), silent=False) for n in range(3)]
    assert verdicts == [Verdict.AGAIN, Verdict.AGAIN, Verdict.DESTINATION]
    assert memory.lost(Owed(9), silent=False) is Verdict.DESTINATION
    memory.passed(10)
    assert memory.lost(Owed(11), silent=False) is Verdict.AGAIN


def test_silence_is_expensive_and_believed_sooner():
    memory = Suspects()
    verdicts = [memory.lost(Owed(n), silent=True) for n in range(2)]
    assert verdicts == [Verdict.AGAIN, Verdict.DESTINATION]


def test_an_object_that_is_lost_twice_alone_calls_for_a_question():
    memory = Suspects()
    memory.lost(Owed(1), silent=False)
    assert memory.lost(Owed(1), silent=False) is Verdict.ASK


def test_an_object_refused_for_want_of_room_is_charged_once_others_found_some():
    memory = Suspects()
    assert memory.refused(1) is Verdict.DESTINATION
    assert memory.refused(1) is Verdict.DESTINATION
    memory.passed(2)
    assert memory.refused(1) is Verdict.OBJECT


def test_suspects_go_last_and_before_them_their_kind():
    memory = Suspects()
    guilty, alike, other = Owed(1), Owed(2), Owed(3, sop_class_uid="1.2.9")
    assert sorted([guilty, alike, other], key=memory.suspicion) == [guilty, alike, other]
    memory.lost(guilty, silent=False)
    assert sorted([guilty, alike, other], key=memory.suspicion) == [other, alike, guilty]
    memory.passed(1)
    assert memory.suspicion(guilty) == (0, False)


def test_memory_is_bounded():
    memory = Suspects()
    for n in range(suspects.MOST_REMEMBERED + 10):
        memory.refused(n)
    assert memory.suspicion(Owed(0)) == (0, False)
    assert memory.suspicion(Owed(suspects.MOST_REMEMBERED))[0] == 1

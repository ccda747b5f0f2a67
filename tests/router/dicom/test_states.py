"""The state machine against the standard's whole table 9-10, and against pynetdicom's."""

import itertools

from pynetdicom import fsm

from router.dicom.states import NEXT_STATES, TABLE, Action, Cause, State

# PS3.8 table 9-10: a row for each event, a column for each of Sta1 to Sta13.
TABLE_9_10 = """
Evt1   AE-1 -    -    -    -    -    -    -    -    -     -    -    -
Evt2   -    -    -    AE-2 -    -    -    -    -    -     -    -    -
Evt3   -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt4   -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt5   AE-5 -    -    -    -    -    -    -    -    -     -    -    -
Evt6   -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
Evt7   -    -    AE-7 -    -    -    -    -    -    -     -    -    -
Evt8   -    -    AE-8 -    -    -    -    -    -    -     -    -    -
Evt9   -    -    -    -    -    DT-1 -    AR-7 -    -     -    -    -
Evt10  -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt11  -    -    -    -    -    AR-1 -    -    -    -     -    -    -
Evt12  -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
Evt13  -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
Evt14  -    -    -    -    -    -    -    AR-4 AR-9 -     -    AR-4 -
Evt15  -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 -
Evt16  -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
Evt17  -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
Evt18  -    AA-2 -    -    -    -    -    -    -    -     -    -    AA-2
Evt19  -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""

# PS3.8 tables 9-6 to 9-9: the state after each action.
NEXT = {
    "AE-1": "Sta4", "AE-2": "Sta5", "AE-3": "Sta6", "AE-4": "Sta1", "AE-5": "Sta2",
    "AE-6": "Sta3 Sta13", "AE-7": "Sta6", "AE-8": "Sta13", "DT-1": "Sta6", "DT-2": "Sta6",
    "AR-1": "Sta7", "AR-2": "Sta8", "AR-3": "Sta1", "AR-4": "Sta13", "AR-5": "Sta1",
    "AR-6": "Sta7", "AR-7": "Sta8", "AR-8": "Sta9 Sta10", "AR-9": "Sta11", "AR-10": "Sta12",
    "AA-1": "Sta13", "AA-2": "Sta1", "AA-3": "Sta1", "AA-4": "Sta1", "AA-5": "Sta1",
    "AA-6": "Sta13", "AA-7": "Sta13", "AA-8": "Sta13",
}  # fmt: skip


def test_every_cell_is_the_standards() -> None:
    cells = {}
    for line in TABLE_9_10.strip().splitlines():
        event, *actions = line.split()
        assert len(actions) == 13
        for number, action in enumerate(actions, 1):
            if action != "-":
                cells[event, f"Sta{number}"] = action
    ours = {(cause.value, state.value): action.value for (cause, state), action in TABLE.items()}
    assert ours == cells


def test_every_action_leads_where_the_standard_says() -> None:
    ours = {
        action.value: " ".join(state.value for state in states)
        for action, states in NEXT_STATES.items()
    }
    assert ours == NEXT


def test_names_and_numbers_are_complete() -> None:
    assert [state.value for state in State] == [f"Sta{n}" for n in range(1, 14)]
    assert [cause.value for cause in Cause] == [f"Evt{n}" for n in range(1, 20)]
    assert {action.value for action in Action} == set(NEXT)


def test_pynetdicoms_table_agrees() -> None:
    ours = {(cause.value, state.value): action.value for (cause, state), action in TABLE.items()}
    for key in itertools.product((c.value for c in Cause), (s.value for s in State)):
        assert ours.get(key) == fsm.TRANSITION_TABLE.get(key)

"""`dicom-router queue resend`: what was delivered goes out once more, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from router.ledger import Ledger
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECTS


def states(ledger: Ledger) -> dict[tuple[str, str], str]:
    """The state of each delivery, by accession number and destination."""
    found = select(OBJECTS.c.accession_number, DELIVERIES.c.destination, DELIVERIES.c.state).join(
        OBJECTS, OBJECTS.c.id == DELIVERIES.c.object_id
    )
    with ledger.read() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(found)}


def test_what_was_delivered_is_owed_again(call: Any, site_file: Path, busy: Ledger):
    before = states(busy)
    assert before["A-1", "pacs"] == "delivered"
    said = call("queue", "resend", "A-1", "--yes", "-c", site_file)
    assert (said.code, said.out) == (0, "resent 1 delivery\n")
    # Neither what the AI never had, nor other objects of the study.
    assert states(busy) == {**before, ("A-1", "pacs"): "waiting"}
    with busy.read() as connection:
        reasons = set(connection.scalars(select(DELIVERY_EVENTS.c.reason)))
    assert "resent_by_operator" in reasons


def test_of_several_receptions_the_newest_goes_out(call: Any, site_file: Path, busy: Ledger):
    same = update(OBJECTS).values(sop_instance_uid="1.2.3.4.1")
    with busy.write() as connection:
        connection.execute(same)
        connection.execute(update(DELIVERIES).values(state="delivered"))
        newest = max(connection.scalars(select(DELIVERIES.c.id).where(TO_PACS)))
    said = call("queue", "resend", "1.2.3.4", "-d", "pacs", "--yes", "-c", site_file)
    assert said.out == "resent 1 delivery\n"
    with busy.read() as connection:
        waiting = connection.scalars(select(DELIVERIES.c.id).where(DELIVERIES.c.state == "waiting"))
        assert list(waiting) == [newest]


TO_PACS = DELIVERIES.c.destination == "pacs"


def test_what_is_not_kept_cannot_be_sent(call: Any, site_file: Path, busy: Ledger):
    with busy.write() as connection:
        connection.execute(update(OBJECTS).values(state="forgotten"))
    said = call("queue", "resend", "A-1", "--yes", "-c", site_file)
    assert (said.code, said.out) == (1, "resent 0 deliveries\n")
    assert "not kept here any more: 1" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["A-1"], 2, "this sends 1 object to pacs once more: say --yes"),
        (["A-1", "-d", "ai", "--yes"], 1, "nothing was delivered"),
        (["nobody", "--yes"], 1, "nothing was delivered"),
        (["A-1", "-d", "pasc", "--yes"], 2, "did you mean pacs?"),
        (["A-1", "--by", "patient_id", "--yes"], 1, "nothing was delivered"),
    ],
)
@pytest.mark.usefixtures("busy")
def test_what_it_refuses(call: Any, site_file: Path, arguments: list[str], code: int, words: str):
    said = call("queue", "resend", *arguments, "-c", site_file)
    assert said.code == code
    assert words in said.err

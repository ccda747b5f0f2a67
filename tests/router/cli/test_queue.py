"""`dicom-router queue`: what is owed, and steering it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from router.ledger import Ledger, leases
from router.ledger.models import DELIVERIES, DELIVERY_EVENTS, OBJECTS


def states(ledger: Ledger, destination: str) -> list[str]:
    with ledger.read() as connection:
        found = select(DELIVERIES.c.state).where(DELIVERIES.c.destination == destination)
        return list(connection.scalars(found.order_by(DELIVERIES.c.id)))


@pytest.mark.usefixtures("busy")
def test_the_summary_is_destinations_against_age(call: Any, site_file: Path):
    said = call("queue", "-c", site_file)
    assert said.code == 0
    heading, *lines = said.out.splitlines()
    assert heading.split() == (
        ["destination", "state", "total", "5m", "15m", "1h", "4h", "1d", "3d", "older", "health"]
    )
    pacs, ai, quiet, unrouted = lines
    assert pacs.split() == ["pacs", "waiting", "2", "2", "0", "0", "0", "0", "0", "0", "up"]
    assert ai.startswith("ai           waiting      3   3")
    assert ", connect_refused, next probe in 59m" in ai
    assert quiet.split()[:2] == ["quiet", "0"]
    assert unrouted == "1 unrouted: see `dicom-router queue objects unrouted`"


@pytest.mark.usefixtures("busy")
def test_the_summary_as_json(call: Any, site_file: Path):
    told = call("queue", "--json", "-c", site_file).json
    pacs, ai, quiet = told["destinations"]
    assert pacs["queue"]["waiting"]["total"] == 2
    assert pacs["queue"]["waiting"]["ages"]["5m"] == 2
    assert (ai["health"]["up"], ai["health"]["reason"]) == (False, "connect_refused")
    assert quiet == {
        "health": quiet["health"],
        "scheduled_for": None,
        "queue": {},
        "commitment": {},
    }
    assert told["objects"] == {"unrouted": 1}


def test_the_summary_says_when_no_router_runs(call: Any, site_file: Path, busy: Ledger):
    said = call("queue", "-c", site_file)
    assert "nothing is sent now: no router is running" in said.err
    with busy.write() as connection:
        assert leases.lead(connection, leases.CONDUCTOR, "host-1", 60_000)
    assert call("queue", "-c", site_file).err == ""
    assert call("queue", "--json", "-c", site_file).json["leader"] == "host-1"


@pytest.mark.usefixtures("busy")
def test_options_may_stand_before_the_sub_command(call: Any, site_file: Path):
    before = call("queue", "--json", "-c", site_file, "list").json
    assert before == call("queue", "list", "--json", "-c", site_file).json
    assert len(before) == 5


@pytest.mark.usefixtures("busy")
def test_what_is_typed_wins_over_the_environment(
    call: Any, site_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DICOM_ROUTER_CONFIG", str(site_file))
    assert call("queue", "list").code == 0
    assert call("queue", "-c", "no.yaml", "list").code == 2
    assert call("queue", "list", "-c", "no.yaml").code == 2
    assert call("queue", "-c", "no.yaml", "list", "-c", site_file).code == 0


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 5),
        (["-d", "pacs"], 2),
        (["--state", "delivered"], 1),
        (["-s", "delivered", "-s", "waiting"], 6),
        (["--route", "chest to ai"], 3),
        (["--reason", "nonsense"], 0),
        (["--sop-instance", "1.2.3.4.1"], 2),
        (["--study", "1.2.3.4"], 6),
        (["--object", f"{2:032x}"], 2),
        (["--older", "1h"], 0),
        (["-d", "ai", "--limit", "2"], 2),
        (["--after", "3"], 3),
    ],
)
def test_filters(call: Any, site_file: Path, filters: list[str], count: int):
    said = call("queue", "list", "-c", site_file, "--json", *filters)
    assert (said.code, len(said.json)) == (0, count)


@pytest.mark.usefixtures("busy")
def test_a_list_for_people_says_how_to_go_on(call: Any, site_file: Path):
    said = call("queue", "list", "-c", site_file, "-n", "2")
    assert len(said.out.splitlines()) == 3
    assert "go on with --after" in said.err


@pytest.mark.usefixtures("busy")
def test_a_misspelt_destination_is_not_an_empty_queue(call: Any, site_file: Path):
    said = call("queue", "list", "-c", site_file, "-d", "pasc")
    assert said.code == 2
    assert said.err == "there is no destination pasc (did you mean pacs?)\n"


@pytest.mark.usefixtures("busy")
def test_a_misspelt_age_is_refused(call: Any, site_file: Path):
    said = call("queue", "list", "-c", site_file, "--older", "yesterday")
    assert said.code == 2
    assert "is not a duration" in said.err


@pytest.mark.usefixtures("busy")
def test_show_tells_every_attempt(call: Any, site_file: Path):
    said = call("queue", "show", "1", "-c", site_file)
    assert said.code == 0
    assert "delivery 1 to pacs: delivered" in said.out
    assert "waiting, out_of_resources, status A700H, attempts 1, took 12ms" in said.out
    assert "delivered, status 0000H, attempts 2" in said.out
    assert "delivery 2" not in said.out


@pytest.mark.usefixtures("busy")
def test_show_of_nothing_fails(call: Any, site_file: Path):
    said = call("queue", "show", "1", "77", "-c", site_file)
    assert said.code == 1
    assert "delivery 1 to pacs" in said.out
    assert said.err == "there is no delivery 77\n"


def test_hold_and_release(call: Any, site_file: Path, busy: Ledger):
    held = call("queue", "hold", "-d", "pacs", "-c", site_file)
    assert (held.code, held.out) == (0, "held 2 deliveries\n")
    assert states(busy, "pacs") == ["delivered", "held", "held"]
    assert states(busy, "ai") == ["waiting"] * 3
    released = call("queue", "release", "--reason", "held_by_operator", "-c", site_file, "--json")
    assert released.json == {"done": "released", "changed": 2}
    assert states(busy, "pacs") == ["delivered", "waiting", "waiting"]


def test_who_did_it_is_remembered(call: Any, site_file: Path, busy: Ledger):
    call("queue", "hold", "2", "-c", site_file)
    with busy.read() as connection:
        workers = connection.scalars(select(DELIVERY_EVENTS.c.worker)).all()
    assert any(worker.startswith("cli") for worker in workers if worker)


def test_retry_makes_due_and_probes_at_once(call: Any, site_file: Path, busy: Ledger):
    call("queue", "hold", "--all", "-c", site_file)
    said = call("queue", "retry", "-d", "ai", "-c", site_file)
    assert (said.out, said.err) == (
        "retried 3 deliveries\n",
        "ai is down: it is tried at once\n",
    )
    assert states(busy, "ai") == ["waiting"] * 3
    ai = call("queue", "--json", "-c", site_file).json["destinations"][1]
    assert ai["health"]["probe_due"] is True


def test_cancel_asks_first(call: Any, site_file: Path, busy: Ledger):
    refused = call("queue", "cancel", "-d", "ai", "-c", site_file)
    assert refused.code == 2
    assert refused.err == "this gives up 3 deliveries: say --yes\n"
    assert states(busy, "ai") == ["waiting"] * 3
    assert call("queue", "cancel", "-d", "ai", "--yes", "-c", site_file).code == 0
    assert states(busy, "ai") == ["cancelled"] * 3
    assert states(busy, "pacs") == ["delivered", "waiting", "waiting"]


@pytest.mark.parametrize("command", ["retry", "hold", "release", "cancel"])
@pytest.mark.parametrize("choice", [[], ["--all", "-d", "pacs"]])
def test_steering_wants_a_choice(
    call: Any, site_file: Path, busy: Ledger, command: str, choice: list[str]
):
    said = call("queue", command, "-c", site_file, "--yes", *choice)
    assert (said.code, said.err) == (2, "say which deliveries, or --all; not both\n")
    assert set(states(busy, "ai")) == {"waiting"}


@pytest.mark.usefixtures("busy")
def test_nothing_to_change_is_a_failure(call: Any, site_file: Path):
    said = call("queue", "release", "--all", "-c", site_file)
    assert (said.code, said.out) == (1, "released 0 deliveries\n")


@pytest.mark.usefixtures("busy")
def test_stop_and_start_a_destination(call: Any, site_file: Path):
    assert call("queue", "stop", "pacs", "-c", site_file).out == "pacs: stopped\n"
    assert call("queue", "-c", site_file).out.splitlines()[1].endswith("stopped")
    assert call("queue", "start", "pacs", "-c", site_file).out == "pacs: started\n"
    assert call("queue", "-c", site_file).out.splitlines()[1].endswith("up")
    assert call("queue", "stop", "nowhere", "-c", site_file).code == 2


def test_objects_that_wait_for_a_person(call: Any, site_file: Path, busy: Ledger):
    listed = call("queue", "objects", "unrouted", "--json", "-c", site_file).json
    assert [item["sop_instance_uid"] for item in listed] == ["1.2.3.4.4"]
    assert "no_route_matched" in call("queue", "objects", "unrouted", "-c", site_file).out
    by_state = call("queue", "reroute", "--state", "unrouted", "-c", site_file)
    assert (by_state.code, by_state.out) == (0, "rerouted 1 object\n")
    with busy.read() as connection:
        found = select(OBJECTS.c.state).where(OBJECTS.c.id == f"{4:032x}")
        assert connection.scalar(found) == "received"
    assert call("queue", "reroute", f"{4:032x}", "-c", site_file).code == 1


@pytest.mark.usefixtures("busy")
def test_reroute_wants_a_choice(call: Any, site_file: Path):
    assert call("queue", "reroute", "-c", site_file).code == 2
    assert call("queue", "reroute", "1", "-s", "held", "-c", site_file).code == 2
    assert call("queue", "reroute", "-s", "routed", "-c", site_file).code == 2


def state_of_object(ledger: Ledger, number: int) -> object:
    with ledger.read() as connection:
        found = select(OBJECTS.c.state).where(OBJECTS.c.id == f"{number:032x}")
        return connection.scalar(found)


@pytest.mark.parametrize("choice", [["--state", "unrouted"], [f"{4:032x}", "--older", "0s"]])
def test_discard_asks_first(call: Any, site_file: Path, busy: Ledger, choice: list[str]):
    refused = call("queue", "discard", *choice, "-c", site_file)
    assert (refused.code, refused.err) == (2, "this discards 1 object: say --yes\n")
    assert state_of_object(busy, 4) == "unrouted"
    done = call("queue", "discard", *choice, "--yes", "-c", site_file)
    assert (done.code, done.out) == (0, "discarded 1 object\n")
    assert state_of_object(busy, 4) == "discarded"
    again = call("queue", "discard", *choice, "-c", site_file)
    assert (again.code, again.out) == (1, "discarded 0 objects\n")


def at_a_terminal(answer: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run `dicom-router …` as a person does who then types `answer`."""
    ours, theirs = os.openpty()
    os.write(ours, answer.encode() + b"\n")
    router = str(Path(sys.executable).with_name("dicom-router"))
    try:
        return subprocess.run(
            [router, *map(str, arguments)], stdin=theirs, capture_output=True, timeout=60
        )
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_person_at_a_terminal_may_say_no(site_file: Path, busy: Ledger):
    command = ("queue", "discard", "-s", "unrouted", "-c", site_file)
    said = at_a_terminal("n", *command)
    assert said.returncode == 1
    assert b"Discard 1 object for good?" in said.stdout + said.stderr
    assert state_of_object(busy, 4) == "unrouted"
    assert at_a_terminal("y", *command).returncode == 0
    assert state_of_object(busy, 4) == "discarded"


def test_who_discarded_is_told(call: Any, site_file: Path, busy: Ledger):
    call("queue", "discard", f"{4:032x}", "-y", "-c", site_file)
    told = call("trace", f"{4:032x}", "-c", site_file).out
    assert "discarded_by_operator" in told
    assert "by cli" in told


def test_discard_takes_what_is_old_enough_alone(call: Any, site_file: Path, busy: Ledger):
    said = call("queue", "discard", "-s", "unrouted", "--older", "1h", "-y", "-c", site_file)
    assert said.code == 1
    assert state_of_object(busy, 4) == "unrouted"


@pytest.mark.usefixtures("busy")
def test_discard_wants_a_choice(call: Any, site_file: Path):
    assert call("queue", "discard", "-y", "-c", site_file).code == 2
    assert call("queue", "discard", "1", "-s", "held", "-y", "-c", site_file).code == 2
    assert call("queue", "discard", "-s", "routed", "-y", "-c", site_file).code == 2
    assert call("queue", "discard", "--older", "1h", "-y", "-c", site_file).code == 2

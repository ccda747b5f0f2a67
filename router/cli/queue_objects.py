"""What a person does about objects that no delivery belongs to: list, reroute, discard.

They are unrouted (no route matched), held or failed; each keeps its bytes until someone decides.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_ledger,
    open_site,
    own_or_group,
)
from router.cli.queue_filters import OlderOption
from router.cli.queue_steering import operator, say_changed, say_progress
from router.cli.queue_views import say_next_page, say_objects
from router.cli.render import plain, say_json
from router.ledger import Ledger, ObjectFilter, ObjectState, objects, queries

WAIT_FOR_A_PERSON = (ObjectState.UNROUTED, ObjectState.HELD, ObjectState.FAILED)
PAGE = 500

ObjectsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="OBJECT", help="Ids of objects.")
]
WaitingStateOption = Annotated[
    ObjectState | None, typer.Option("--state", "-s", help="All unrouted, held or failed.")
]


def objects_(
    ctx: typer.Context,
    state: Annotated[ObjectState, typer.Argument(help="The state they are in.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    after: Annotated[str, typer.Option(help="Go on after this object.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List objects in one state: `unrouted`, `held` and `failed` ones wait for a person."""
    config, as_json = own_or_group(ctx, config, as_json)
    with open_ledger(open_site(config)) as ledger, ledger.read() as connection:
        listed = queries.objects_in(connection, state, limit=limit, after=after)
    if as_json:
        say_json(plain(listed))
        return
    say_objects(listed)
    if listed:
        say_next_page(listed[-1].id, len(listed), limit)


def reroute(
    ctx: typer.Context,
    ids: ObjectsArgument = None,
    state: WaitingStateOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give unrouted, held and failed objects back to the rules, as these are now."""
    config, as_json = own_or_group(ctx, config, as_json)
    _refuse_unclear(ids, state)
    with open_ledger(open_site(config)) as ledger:
        changed = _reroute_ids(ledger, ids) if ids else 0
        if state is not None:
            changed = _reroute_state(ledger, state)
    say_changed("rerouted", changed, as_json, "object")


def discard(
    ctx: typer.Context,
    ids: ObjectsArgument = None,
    state: WaitingStateOption = None,
    older: OlderOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give up unrouted, held and failed objects for good: they are deleted after the retention."""
    config, as_json = own_or_group(ctx, config, as_json)
    _refuse_unclear(ids, state)
    older_ms = None if older is None else round(older * 1000)
    wanted = ObjectFilter(ids=tuple(ids or ()), state=state, older_than_ms=older_ms)
    with open_ledger(open_site(config)) as ledger:
        if not yes:
            _ask(ledger, wanted)
        changed = _discard(ledger, wanted)
    say_changed("discarded", changed, as_json, "object")


def _refuse_unclear(ids: list[str] | None, state: ObjectState | None) -> None:
    if bool(ids) == (state is not None):
        fail(Exit.USAGE, "name objects, or a state with --state; not both")
    if state is not None and state not in WAIT_FOR_A_PERSON:
        fail(Exit.USAGE, f"{state.value} objects wait for nobody: unrouted, held or failed ones do")


def _reroute_ids(ledger: Ledger, ids: list[str]) -> int:
    return ledger.transact(partial(objects.route_again, ids=ids))


def _reroute_state(ledger: Ledger, state: ObjectState) -> int:
    changed, after = 0, ""
    while True:
        with ledger.write() as connection:
            page = queries.objects_in(connection, state, limit=PAGE, after=after)
            changed += objects.route_again(connection, [item.id for item in page])
        if len(page) < PAGE:
            return changed
        after = page[-1].id
        say_progress(changed)


def _discard(ledger: Ledger, wanted: ObjectFilter) -> int:
    changed, by = 0, operator()
    while True:
        now = ledger.transact(partial(objects.discard, chosen=wanted, by=by, limit=PAGE))
        changed += now
        if now < PAGE:
            return changed
        say_progress(changed)


def _ask(ledger: Ledger, wanted: ObjectFilter) -> None:
    with ledger.read() as connection:
        some = len(objects.discardable(connection, wanted, limit=PAGE))
    if not some:
        return
    count = f"{PAGE} or more objects" if some == PAGE else f"{some} object{'s' * (some > 1)}"
    if not sys.stdin.isatty():
        fail(Exit.USAGE, f"this discards {count}: say --yes")
    typer.confirm(f"Discard {count} for good?", abort=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "objects": objects_,
    "reroute": reroute,
    "discard": discard,
}

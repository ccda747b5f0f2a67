"""`dicom-router queue`: what is owed to which destination, and since when; and what to do about it.

Nothing here sends: a delivery that is made due is taken up by the running router within seconds.
"""

from typing import Annotated

import typer

from router.cli import queue_objects, queue_resending, queue_steering
from router.cli.histories import say_traced, traced_json, with_explanations
from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_ledger,
    open_site,
    own_or_group,
)
from router.cli.queue_filters import (
    DestinationOption,
    IdsArgument,
    ObjectOption,
    OlderOption,
    ReasonOption,
    RouteOption,
    SopInstanceOption,
    StateOption,
    StudyOption,
    chosen,
    known_destination,
)
from router.cli.queue_views import (
    Standing,
    say_next_page,
    say_queue,
    say_summary,
    summary_json,
)
from router.cli.render import plain_fields, say_json
from router.ledger import DeliveryFilter, destinations, leases, queries
from router.ledger.bundle_views import open_counts
from router.ledger.clock import read_clock

app = typer.Typer(add_completion=False)

LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]


@app.callback(invoke_without_command=True)
def queue(ctx: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What is owed to which destination, and since when: destinations against age."""
    ctx.obj = (config, as_json)
    if ctx.invoked_subcommand is not None:
        return
    site = open_site(config)
    with open_ledger(site) as ledger, ledger.read() as connection:
        summaries = queries.queue_summary(connection)
        health = destinations.all_health(connection)
        waiting = queries.object_counts(connection)
        bundles, bundled = open_counts(connection)
        leader = leases.leader(connection, leases.CONDUCTOR)
        standing = Standing(
            site=site,
            now=read_clock(connection),
            bundles=bundles,
            bundled=bundled,
            proofs=tuple(queries.proof_summary(connection)),
        )
    shown = (standing, summaries, health, waiting)
    if as_json:
        say_json({**summary_json(*shown), "leader": leader})
        return
    say_summary(*shown)
    if leader is None:
        typer.echo("nothing is sent now: no router is running, or its conductor is away", err=True)


@app.command("list")
def list_(
    ctx: typer.Context,
    ids: IdsArgument = None,
    destination: DestinationOption = None,
    state: StateOption = None,
    route: RouteOption = None,
    reason: ReasonOption = None,
    object_id: ObjectOption = None,
    sop_instance: SopInstanceOption = None,
    study: StudyOption = None,
    older: OlderOption = None,
    limit: LimitOption = 50,
    after: Annotated[int, typer.Option(help="Go on after this delivery.")] = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List deliveries: those that are not final, unless states or objects are named."""
    config, as_json = own_or_group(ctx, config, as_json)
    wanted = chosen(ids, destination, state, route, reason, object_id, sop_instance, study, older)
    site = open_site(config)
    with open_ledger(site) as ledger:
        if destination is not None:
            known_destination(site, ledger, destination)
        with ledger.read() as connection:
            listed = queries.queue_list(connection, wanted, limit=limit, after=after)
            statuses = queries.statuses(connection, listed)
    if as_json:
        say_json([{**plain_fields(item), "status": statuses[item.id]} for item in listed])
        return
    say_queue(listed, statuses)
    if listed:
        say_next_page(listed[-1].id, len(listed), limit)


@app.command()
def show(
    ctx: typer.Context,
    ids: Annotated[list[int], typer.Argument(metavar="ID", help="Numbers of deliveries.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show deliveries with every attempt and its outcome, and the object each is of."""
    config, as_json = own_or_group(ctx, config, as_json)
    with open_ledger(open_site(config)) as ledger, ledger.read() as connection:
        wanted = DeliveryFilter(ids=tuple(ids))
        listed = queries.queue_list(connection, wanted, limit=len(ids))
        owed = dict.fromkeys(item.object_id for item in listed)
        traces = [
            one
            for object_id in owed
            for one in queries.trace(connection, object_id, queries.TraceBy.OBJECT_ID)
        ]
        explained = with_explanations(connection, traces, only=frozenset(ids))
    missing = sorted(set(ids) - {item.id for item in listed})
    if as_json:
        say_json([traced_json(one) for one in explained])
    else:
        for one in explained:
            say_traced(one)
    if missing:
        fail(Exit.FAILED, f"there is no delivery {', '.join(map(str, missing))}")


for name, command in (queue_steering.COMMANDS | queue_objects.COMMANDS).items():
    app.command(name)(command)
app.command()(queue_resending.resend)

"""`dicom-router bundles`: studies and series that routes wait for, and how to wait no longer."""

from typing import Annotated

import typer

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_ledger,
    open_site,
)
from router.cli.render import local, plain, say_json, say_table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The studies and series that routes wait for; close them by hand.",
)

RouteOption = Annotated[str | None, typer.Option("--route", help="Of the route with this name.")]
UidOption = Annotated[
    str | None, typer.Option("--uid", help="Of this Study or Series Instance UID.")
]


@app.command("list")
def list_(
    route: RouteOption = None,
    uid: UidOption = None,
    closed: Annotated[
        bool, typer.Option("--closed", help="Those that were closed, the newest first.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the bundles that are open: what each has, what it lacks, and when it closes."""
    from router.ledger.bundle_views import listed

    state = "closed" if closed else "open"
    with open_ledger(open_site(config)) as ledger, ledger.read() as connection:
        found = listed(connection, state=state, route=route, uid=uid, limit=limit)
    if as_json:
        say_json(plain(found))
        return
    rows: list[list[str | int | None]] = [
        [
            one.id,
            one.level,
            one.uid,
            one.objects,
            local(one.opened_at),
            local(one.last_at),
            local(one.closed_at if closed else one.due_at),
            one.reason,
            one.lacks,
            one.route,
        ]
        for one in found
    ]
    when = "closed" if closed else "closes"
    say_table(
        ["id", "level", "uid", "objects", "opened", "last", when, "reason", "lacks", "route"], rows
    )


@app.command()
def close(
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID", help="Their numbers.")] = None,
    route: RouteOption = None,
    uid: UidOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close bundles now: a running router routes what is in them within seconds.

    Exits with 1 if there was nothing to close.
    """
    from router.ledger.bundle_views import close_by_operator

    if not (ids or route or uid or everything):
        fail(Exit.USAGE, "say which: numbers, --uid, --route, or --all")
    with open_ledger(open_site(config)) as ledger, ledger.write() as connection:
        count = close_by_operator(connection, ids=tuple(ids or ()), uid=uid, route=route)
    if as_json:
        say_json({"closed": count})
    else:
        typer.echo(f"{count} bundle{'' if count == 1 else 's'} closed")
    if not count:
        raise typer.Exit(Exit.FAILED)

"""`dicom-router rules shadow`: what the rules that run beside would have done differently."""

from typing import Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.render import Cell, iso, local, say_json, say_table
from router.ledger import shadows


def shadow(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many cases.")] = 20,
    forget: Annotated[
        bool, typer.Option("--forget", help="Drop the counters and cases; begin anew.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the rules in `rules_shadow` would have done differently, and with which objects.

    Exits with 1 if nothing was compared yet.
    """
    site = open_site(config)
    with open_ledger(site) as ledger:
        if forget:
            with ledger.write() as connection:
                shadows.forget(connection)
        with ledger.read() as connection:
            compared = shadows.comparisons(connection)
            cases = shadows.latest(connection, limit)
    if as_json:
        told = [
            {
                "at": iso(case.at),
                "object_id": case.object_id,
                "version": case.version,
                "shadow_version": case.shadow_version,
                "kind": case.kind,
                "detail": case.detail,
            }
            for case in cases
        ]
        say_json({"compared": compared, "cases": told})
    elif compared:
        _say(compared, cases)
    if not compared and not forget:
        where = "" if site.rules_shadow else ": the site has no `rules_shadow`"
        fail(Exit.FAILED, f"nothing was compared yet{where}")


def _say(compared: list[shadows.Comparison], cases: list[shadows.KeptDifference]) -> None:
    rows: list[list[Cell]] = [
        [one.version, one.shadow_version, kind, number]
        for one in compared
        for kind, number in sorted(one.counts.items(), key=lambda item: -item[1])
    ]
    say_table(["in force", "shadow", "outcome", "objects"], rows)
    if cases:
        typer.echo("")
        say_table(
            ["at", "object", "outcome", "in force -> shadow"],
            [[local(case.at), case.object_id, case.kind, case.detail] for case in cases],
        )

"""`dicom-router reconcile --last`: the last scheduled run at each destination, what it found."""

from typing import TYPE_CHECKING

import typer

from router.cli.options import open_ledger
from router.cli.render import local, plain, say_json, say_table, shown
from router.ledger import reconciliations
from router.ledger.reconciliations import COUNTS, Finding, Run

if TYPE_CHECKING:
    from router.config import Site

Last = tuple[Run, Run | None, list[Finding]]
"""A destination's newest run, the newest that is done, and what that one found."""


def last_runs(site: "Site", names: list[str]) -> list[Last]:
    """Of each destination that was ever reconciled on a schedule."""
    found: list[Last] = []
    with open_ledger(site) as ledger, ledger.read() as connection:
        for name in names:
            newest, done = reconciliations.latest(connection, name)
            if newest is not None:
                findings = reconciliations.findings(connection, done.id) if done else []
                found.append((newest, done, findings))
    return found


def has_findings(found: list[Last]) -> bool:
    """Whether any of them missed something, or found it changed."""
    return any(done is not None and (done.missing or done.changed) for _, done, _ in found)


def say_last(found: list[Last], *, as_json: bool) -> None:
    """For people, or for programs."""
    if as_json:
        say_json(
            [
                {
                    "newest": plain(newest),
                    "done": None if done is None else plain(done),
                    "findings": [one._asdict() for one in findings],
                }
                for newest, done, findings in found
            ]
        )
        return
    rows: list[list[str | int | None]] = [
        [
            newest.destination,
            one.kind,
            one.study_instance_uid,
            one.sop_instance_uid,
            one.delivery_id,
            one.why,
        ]
        for newest, _, findings in found
        for one in findings
    ]
    if rows:
        say_table(["destination", "finding", "study", "SOP instance", "delivery", "why"], rows)
    for newest, done, _ in found:
        if done is not None:
            counts = ", ".join(
                f"{getattr(done, name)} {name}" for name in COUNTS if getattr(done, name)
            )
            typer.echo(f"{done.destination}: {local(done.finished_at)}, {counts or 'nothing sent'}")
        if newest.state == "running":
            why = f", does not tell ({shown(newest.reason)})" if newest.reason else ""
            words = f"since {local(newest.started_at)}, {newest.studies} studies so far{why}"
            typer.echo(f"{newest.destination}: running {words}")
    if not found:
        typer.echo("no destination was reconciled on a schedule yet")

"""`dicom-router reconcile`: what destinations lack of what they should have."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.queue_filters import older_than
from router.cli.queue_steering import operator
from router.cli.render import say_json, say_table

if TYPE_CHECKING:
    from router.commitment.reconciling import Compared
    from router.config import Destination, Site
    from router.ledger import Ledger


def reconcile(
    destination: Annotated[
        list[str] | None,
        typer.Option(show_default="all DICOM destinations", help="Look there; may be repeated."),
    ] = None,
    since: Annotated[
        float,
        typer.Option(
            "--since",
            parser=older_than,
            metavar="AGE",
            show_default="24h",
            help="Look for what was received at most so long ago.",
        ),
    ] = 86400.0,
    study: Annotated[
        str | None, typer.Option(metavar="UID", help="One study, whenever it came.")
    ] = None,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send again what is missing and kept here.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask destinations (C-FIND) for what was sent to them, and list what they lack, and why.

    Exits with 1 if anything is missing, with 3 if a destination does not tell.
    """
    site = open_site(config)
    since_ms = 0 if study else round((time.time() - since) * 1000)
    found = _compared(site, destination or [], since_ms, study, resend=resend)
    _say(found, as_json=as_json)
    if any(compared.missing for compared, _ in found):
        raise typer.Exit(Exit.FAILED)


def _compared(
    site: "Site", names: list[str], since_ms: int, study: str | None, *, resend: bool
) -> "list[tuple[Compared, int]]":
    """Each destination's comparison, and how many of what it lacks were sent again."""
    from router.commitment.reconciling import reconcile as compare
    from router.net.errors import NetError

    found = []
    with open_ledger(site) as ledger:
        for one in _chosen(site, names):
            try:
                compared = compare(one, ledger, since_ms=since_ms, study=study)
            except NetError as error:
                fail(Exit.UNAVAILABLE, f"{one.name} does not tell: {error}")
            found.append((compared, _resend(ledger, compared) if resend else 0))
    return found


def _chosen(site: "Site", names: list[str]) -> "list[Destination]":
    chosen = []
    for name in names or [one.name for one in site.destinations if one.dicom is not None]:
        found = site.destination(name)
        if found is None or found.dicom is None:
            fail(Exit.USAGE, f"there is no DICOM destination {name}")
        chosen.append(found)
    return chosen


def _resend(ledger: "Ledger", compared: "Compared") -> int:
    from router.ledger import reconciling

    ids = [one.sent.delivery_id for one in compared.missing if one.resendable]
    with ledger.write() as connection:
        return reconciling.resend(connection, ids, by=operator())


def _say(found: "list[tuple[Compared, int]]", *, as_json: bool) -> None:
    if as_json:
        say_json([_plain(compared, resent) for compared, resent in found])
        return
    rows: list[list[str | int | None]] = [
        [
            compared.destination,
            one.sent.study_instance_uid,
            one.sent.sop_instance_uid,
            one.sent.delivery_id,
            one.why,
        ]
        for compared, _ in found
        for one in compared.missing
    ]
    if rows:
        say_table(["destination", "study", "SOP instance", "delivery", "why"], rows)
    for compared, resent in found:
        again = f", {resent} sent again" if resent else ""
        typer.echo(
            f"{compared.destination}: {compared.objects} objects of {compared.studies} studies, "
            f"{len(compared.missing)} missing{again}"
        )


def _plain(compared: "Compared", resent: int) -> dict[str, object]:
    return {
        "destination": compared.destination,
        "studies": compared.studies,
        "objects": compared.objects,
        "resent": resent,
        "missing": [
            {
                "study_instance_uid": one.sent.study_instance_uid,
                "sop_instance_uid": one.sent.sop_instance_uid,
                "object_id": one.sent.object_id,
                "delivery_id": one.sent.delivery_id,
                "state": one.sent.state.value,
                "why": one.why,
                "resendable": one.resendable,
            }
            for one in compared.missing
        ],
    }

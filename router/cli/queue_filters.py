"""Which deliveries a `queue` command is about: its options, and the filter they make."""

from typing import Annotated

import typer

from router.cli.options import Exit, fail
from router.config import Site
from router.config_values import parse_duration
from router.ledger import DeliveryFilter, DeliveryState, Ledger, destinations
from rules.documents.reading import suggest

IdsArgument = Annotated[
    list[int] | None, typer.Argument(metavar="ID", help="Numbers of deliveries.")
]
DestinationOption = Annotated[
    str | None, typer.Option("--destination", "-d", help="Owed to this destination.")
]
StateOption = Annotated[
    list[DeliveryState] | None,
    typer.Option(
        "--state",
        "-s",
        metavar="STATE",
        help=f"In this state: {', '.join(state.value for state in DeliveryState)}; repeatable.",
    ),
]
RouteOption = Annotated[str | None, typer.Option("--route", help="Made by this route.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="With this reason.")]
ObjectOption = Annotated[str | None, typer.Option("--object", help="Of the object with this id.")]
SopInstanceOption = Annotated[
    str | None, typer.Option("--sop-instance", help="Of this SOP Instance UID.")
]
StudyOption = Annotated[str | None, typer.Option("--study", help="Of this Study Instance UID.")]


def older_than(text: str) -> float:
    """Seconds; for an option."""
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    assert isinstance(value, float | int)
    return float(value)


OlderOption = Annotated[
    float | None,
    typer.Option("--older", parser=older_than, metavar="AGE", help="Created so long ago: 30m, 2d."),
]


def chosen(
    ids: list[int] | None,
    destination: str | None,
    states: list[DeliveryState] | None,
    route: str | None,
    reason: str | None,
    object_id: str | None,
    sop_instance: str | None,
    study: str | None,
    older: float | None,
) -> DeliveryFilter:
    """The filter of these options; all of them must hold."""
    return DeliveryFilter(
        ids=tuple(ids or ()),
        destination=destination,
        states=tuple(states or ()),
        route=route,
        reason=reason,
        object_id=object_id,
        sop_instance_uid=sop_instance,
        study_instance_uid=study,
        older_than_ms=None if older is None else round(older * 1000),
    )


def restricts(wanted: DeliveryFilter) -> bool:
    """Whether it chooses anything less than all."""
    return wanted != DeliveryFilter()


def known_destination(site: Site, ledger: Ledger, name: str) -> str:
    """This name, if the site or the ledger has it: what was taken from the site may still owe."""
    with ledger.read() as connection:
        known = {*site.destination_names, *(h.name for h in destinations.all_health(connection))}
    if name not in known:
        near = suggest(name, known)
        hint = f" (did you mean {near}?)" if near else ""
        fail(Exit.USAGE, f"there is no destination {name}{hint}")
    return name

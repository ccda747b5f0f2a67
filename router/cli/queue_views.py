"""What `queue` and its sub-commands show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from router.cli.render import duration, local, plain, say_table, shown
from router.ledger import PRIORITIES, Health, ObjectState, StoredObject
from router.ledger.queries import (
    AGE_BOUNDS_MS,
    ProofSummary,
    QueuedDelivery,
    QueueSummary,
)

if TYPE_CHECKING:
    from router.config import Site

AGES = (*(duration(bound / 1000).split()[0] for bound in AGE_BOUNDS_MS), "older")
"""What the columns of ages are called: younger than 5m, 15m, …, and the rest."""

PRIORITY_WORDS = {number: word for word, number in PRIORITIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the site says of its destinations, and what time it is for the ledger."""

    site: "Site"
    now: int
    bundles: int = 0
    bundled: int = 0
    proofs: tuple[ProofSummary, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return self.site.destination_names

    def waits_until(self, name: str) -> int | None:
        """When its schedule lets this destination be sent to again; None: it does now."""
        destination = self.site.destination(name)
        windows = None if destination is None else destination.windows
        if windows is None or windows.is_open(self.now):
            return None
        return windows.opens(self.now)


def summary_json(
    standing: Standing,
    summaries: Sequence[QueueSummary],
    health: Sequence[Health],
    waiting: dict[ObjectState, int],
) -> dict[str, object]:
    """The summary for programs."""
    by_name = {item.name: item for item in health}
    return {
        "destinations": [
            {
                "health": plain(by_name.get(name, Health(name=name))),
                "scheduled_for": standing.waits_until(name),
                "queue": {
                    item.state.value: {
                        "total": item.total,
                        "ages": dict(zip(AGES, item.counts, strict=True)),
                    }
                    for item in summaries
                    if item.destination == name
                },
                "commitment": {
                    item.status: {
                        "total": item.total,
                        "ages": dict(zip(AGES, item.counts, strict=True)),
                    }
                    for item in standing.proofs
                    if item.destination == name
                },
            }
            for name in _all_names(standing, summaries)
        ],
        "objects": {state.value: count for state, count in waiting.items()},
        "bundles": {"open": standing.bundles, "objects": standing.bundled},
    }


def say_summary(
    standing: Standing,
    summaries: Sequence[QueueSummary],
    health: Sequence[Health],
    waiting: dict[ObjectState, int],
) -> None:
    """Destinations against age, as Postfix's qshape; below it the objects that no one is owed."""
    words = {item.name: health_words(item) for item in health}
    rows: list[list[str | int | None]] = []
    for name in _all_names(standing, summaries):
        how = words.get(name, "up")
        if (until := standing.waits_until(name)) is not None:
            how += f", waits for its schedule until {local(until)}"
        of_name = [item for item in summaries if item.destination == name]
        rows += [[name, item.state.value, item.total, *item.counts, how] for item in of_name]
        proofs = [item for item in standing.proofs if item.destination == name]
        rows += [[name, item.status, item.total, *item.counts, how] for item in proofs]
        if not of_name and not proofs:
            rows.append([name, "", 0, *([0] * len(AGES)), how])
    say_table(["destination", "state", "total", *AGES, "health"], rows)
    if standing.bundles:
        wait = f"{standing.bundled} in {standing.bundles} bundles that wait for more"
        typer.echo(f"{wait}: see `dicom-router bundles list`")
    for state, count in waiting.items():
        if state is ObjectState.RECEIVED:
            typer.echo(f"{count} received and not yet routed")
        else:
            typer.echo(f"{count} {state.value}: see `dicom-router queue objects {state.value}`")


def health_words(health: Health) -> str:
    """How a destination does, in a few words."""
    held = "stopped, " if health.held else ""
    if health.up:
        return f"{held}up" if not health.held else "stopped"
    since = local(health.down_since)
    probe = duration((health.probe_in_ms or 0) / 1000)
    return f"{held}down since {since}, {health.reason or 'unknown'}, next probe in {probe}"


def say_queue(listed: Sequence[QueuedDelivery], statuses: Mapping[int, str]) -> None:
    """Deliveries, a line each; `statuses`: their states as they are with their proofs."""
    rows: list[list[str | int | None]] = [
        [
            item.id,
            item.destination,
            statuses[item.id],
            PRIORITY_WORDS.get(item.priority, str(item.priority)),
            local(item.created_at),
            item.attempts,
            local(item.next_attempt_at) if item.state.value == "waiting" else None,
            item.reason,
            item.route,
            item.sop_instance_uid,
        ]
        for item in listed
    ]
    say_table(
        [
            "id",
            "destination",
            "state",
            "priority",
            "created",
            "attempts",
            "next attempt",
            "reason",
            "route",
            "SOP instance",
        ],
        rows,
    )


def say_objects(listed: Sequence[StoredObject]) -> None:
    """Objects, a line each."""
    rows: list[list[str | int | None]] = [
        [
            item.id,
            item.state.value,
            item.reason,
            local(item.received_at),
            item.listener,
            item.calling_ae_title,
            item.sop_instance_uid,
        ]
        for item in listed
    ]
    say_table(["id", "state", "reason", "received", "listener", "from", "SOP instance"], rows)


def say_next_page(after: int | str, listed: int, limit: int) -> None:
    """How to go on, if there may be more."""
    if listed == limit:
        typer.echo(f"the first {limit}; go on with --after {shown(after)}", err=True)


def _all_names(standing: Standing, summaries: Sequence[QueueSummary]) -> list[str]:
    """The site's destinations in its order, then those that only the ledger knows."""
    known = [item.destination for item in summaries]
    known += [item.destination for item in standing.proofs]
    return list(dict.fromkeys([*standing.names, *known]))

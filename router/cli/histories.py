"""An object's story, for `trace` and `queue show`: received, routed and why, edited, tried."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import typer
from sqlalchemy import Connection

from router.cli.queue_views import PRIORITY_WORDS
from router.cli.render import duration, local, plain, say_table, shown, size
from router.cli.routes_then import RouteThen, routes_then
from router.cli.uid_names import name_of
from router.ledger import StoredObject
from router.ledger.queries import DeliveryHistory, ObjectHistory, Proof, Trace, TracedDelivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A trace, and by delivery the route that made it, as that route was written then."""

    trace: Trace
    deliveries: tuple[tuple[TracedDelivery, RouteThen | None], ...]


def with_explanations(
    connection: Connection, traces: Sequence[Trace], *, only: frozenset[int] = frozenset()
) -> list[Explained]:
    """Add the routes as they were; `only` keeps the deliveries with these numbers."""
    wanted = [
        traced
        for trace in traces
        for traced in trace.deliveries
        if not only or traced.delivery.id in only
    ]
    routes = routes_then(
        connection, {(item.delivery.rules_version, item.delivery.route) for item in wanted}
    )
    return [
        Explained(
            trace=trace,
            deliveries=tuple(
                (item, routes.get((item.delivery.rules_version, item.delivery.route)))
                for item in trace.deliveries
                if not only or item.delivery.id in only
            ),
        )
        for trace in traces
    ]


def traced_json(explained: Explained) -> dict[str, object]:
    """The story for programs."""
    trace = explained.trace
    return {
        "object": plain(trace.object),
        "derived": plain(trace.derived),
        "history": plain(trace.history),
        "deliveries": [
            {
                "delivery": plain(item.delivery),
                "route": None if route is None else plain(route),
                "history": plain(item.history),
                "status": item.status,
                "commitment": None if item.proof is None else plain(item.proof),
            }
            for item, route in explained.deliveries
        ],
    }


def say_traced(explained: Explained) -> None:
    """The story for people."""
    trace = explained.trace
    _say_object(trace.object)
    for event in trace.history:
        _say_object_event(event)
    derived = {item.id: item for item in trace.derived}
    for item, route in explained.deliveries:
        _say_delivery(item, route, derived.get(item.delivery.payload_id), trace.object)
    if not explained.deliveries:
        typer.echo("  no deliveries")


def say_outline(stories: Sequence[Explained]) -> None:
    """Many stories, a line each: what became of the object at each destination."""
    rows: list[list[str | int | None]] = [
        [
            story.trace.object.sop_instance_uid,
            story.trace.object.id,
            local(story.trace.object.received_at),
            story.trace.object.calling_ae_title,
            story.trace.object.state.value,
            ", ".join(f"{item.delivery.destination} {item.status}" for item, _ in story.deliveries),
        ]
        for story in stories
    ]
    say_table(["SOP instance", "object", "received", "from", "state", "deliveries"], rows)
    _say_studies(stories)


def _say_studies(stories: Sequence[Explained]) -> None:
    """A line for each study: how far each destination has it."""
    studies: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    objects: Counter[str] = Counter()
    for story in stories:
        study = shown(story.trace.object.study_instance_uid)
        objects[study] += 1
        for item, _ in story.deliveries:
            studies[study][item.delivery.destination, item.status] += 1
    for study, count in objects.items():
        at = [
            f"{count} {status} at {shown(name)}"
            for (name, status), count in sorted(studies[study].items())
        ]
        typer.echo(f"study {study}: {count} objects, {', '.join(at) or 'no deliveries'}")


def _say_object(stored: StoredObject) -> None:
    typer.echo(f"SOP instance {shown(stored.sop_instance_uid)}   object {stored.id}")
    sop_class, syntax = name_of(stored.sop_class_uid), name_of(stored.transfer_syntax_uid)
    typer.echo(f"  {shown(sop_class)}, {shown(syntax)}, {size(stored.size)}")
    named = {
        "study": stored.study_instance_uid,
        "accession number": stored.accession_number,
        "patient id": stored.patient_id,
    }
    words = [f"{word} {shown(value)}" for word, value in named.items() if value]
    if words:
        typer.echo(f"  {', '.join(words)}")
    sender = f"{shown(stored.calling_ae_title)} at {shown(stored.peer_address)}"
    if stored.tls_subject:
        sender += f" ({shown(stored.tls_subject)})"
    typer.echo(
        f"  {local(stored.received_at)}  received from {sender} as {shown(stored.called_ae_title)}"
        f" on {shown(stored.listener)}, association {shown(stored.association_id)}"
    )
    why = f" ({shown(stored.reason)})" if stored.reason else ""
    typer.echo(f"  now {stored.state.value}{why}")


def _say_object_event(event: ObjectHistory) -> None:
    parts = [f"  {local(event.at)}  {event.kind}"]
    parts += [shown(event.reason)] if event.reason else []
    parts += [f"by rules {event.rules_version}"] if event.rules_version else []
    typer.echo(", ".join(parts) + (f": {shown(event.detail)}" if event.detail else ""))


def _say_delivery(
    traced: TracedDelivery,
    route: RouteThen | None,
    payload: StoredObject | None,
    original: StoredObject,
) -> None:
    owed = traced.delivery
    reason = f" ({shown(owed.reason)})" if owed.reason else ""
    priority = PRIORITY_WORDS.get(owed.priority, str(owed.priority))
    typer.echo(f"  delivery {owed.id} to {shown(owed.destination)}: {owed.state.value}{reason}")
    typer.echo(f"    route {shown(owed.route)}, priority {priority}")
    if route is not None:
        typer.echo(f"    because {shown(route.when)}")
        for edit in route.edits:
            typer.echo(f"    edit {shown(edit)}")
        if route.deidentify is not None:
            typer.echo(f"    de-identified by {shown(route.deidentify)}")
    if payload is not None:
        typer.echo(
            f"    edited copy: SOP instance {shown(payload.sop_instance_uid)}, "
            f"object {payload.id}, {size(payload.size)}"
        )
        if words := _other_names(payload, original):
            typer.echo(f"      there known by {', '.join(words)}")
    for event in traced.history:
        _say_attempt(event)
    if traced.proof is not None:
        _say_proof(traced.proof)
    if owed.state.value == "waiting":
        due = owed.next_attempt_at <= time.time() * 1000
        typer.echo(
            f"    {local(owed.next_attempt_at)}  {'due since then' if due else 'next attempt'}"
        )


def _other_names(copy: StoredObject, original: StoredObject) -> list[str]:
    """What a copy is looked up by where it went, and not here."""
    names = {
        "study": (copy.study_instance_uid, original.study_instance_uid),
        "patient id": (copy.patient_id, original.patient_id),
        "accession number": (copy.accession_number, original.accession_number),
    }
    return [f"{word} {shown(new)}" for word, (new, old) in names.items() if new and new != old]


def _say_proof(proof: Proof) -> None:
    parts = [f"commitment {'not asked for yet' if proof.state == 'delivered' else proof.state}"]
    parts += [shown(proof.reason)] if proof.reason else []
    parts += [f"{proof.attempts} not answered"] if proof.attempts else []
    parts += [f"refused {proof.refusals} times"] if proof.refusals else []
    parts += [f"transaction {proof.transaction_uid}"] if proof.transaction_uid else []
    typer.echo(f"    {', '.join(parts)}")


def _say_attempt(event: DeliveryHistory) -> None:
    parts = [event.state.value]
    parts += [shown(event.reason)] if event.reason else []
    parts += [f"status {event.status:04X}H"] if event.status is not None else []
    parts += [f"attempts {event.attempts}"] if event.attempts is not None else []
    parts += [f"took {duration(event.took_ms / 1000)}"] if event.took_ms is not None else []
    parts += [f"association {shown(event.association_id)}"] if event.association_id else []
    parts += [f"by {shown(event.worker)}"] if event.worker else []
    detail = f": {shown(event.detail)}" if event.detail not in (None, "", event.reason) else ""
    typer.echo(f"    {local(event.at)}  {', '.join(parts)}{detail}")

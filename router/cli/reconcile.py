"""`dicom-router reconcile`: what destinations lack, or have otherwise, of what they should have."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.queue_filters import older_than
from router.cli.queue_steering import operator
from router.cli.reconcile_last import has_findings, last_runs, say_last
from router.cli.render import say_json, say_table

if TYPE_CHECKING:
    from router.commitment.reconciling import Finding, StudyCompared
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
    last: Annotated[
        bool, typer.Option("--last", help="Ask nobody: show what the last scheduled run found.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask destinations (C-FIND) for what was sent to them; list what they lack or have otherwise.

    Exits with 1 if anything is missing or changed, with 3 if a destination does not tell.
    """
    site = open_site(config)
    chosen = list(_chosen(site, destination or []))
    if not chosen:
        typer.echo("nothing to ask: the site has no DICOM destination", err=True)
    if last:
        _tell_last(site, chosen, as_json=as_json)
    since_ms = 0 if study else round((time.time() - since) * 1000)
    found = _compared(site, chosen, since_ms, study, resend=resend)
    if as_json:
        say_json([one.plain for one in found])
    else:
        _say(found)
    if any(one.missing or one.changed for one in found):
        raise typer.Exit(Exit.FAILED)


def _tell_last(site: "Site", chosen: "list[Destination]", *, as_json: bool) -> NoReturn:
    runs = last_runs(site, [one.name for one in chosen])
    say_last(runs, as_json=as_json)
    raise typer.Exit(Exit.FAILED if has_findings(runs) else Exit.OK)


@dataclass(slots=True, kw_only=True)
class _Compared:
    """A destination's studies; those without any finding are only counted."""

    destination: str
    studies: int = 0
    objects: int = 0
    resent: int = 0
    missing: "list[Finding]" = field(default_factory=list)
    changed: "list[Finding]" = field(default_factory=list)
    unknown: "list[Finding]" = field(default_factory=list)
    incomplete: "list[StudyCompared]" = field(default_factory=list)

    def add(self, study: "StudyCompared") -> None:
        self.studies += 1
        self.objects += study.objects
        for one in study.findings:
            getattr(self, one.kind.value).append(one)
        if study.is_incomplete:
            self.incomplete.append(study)

    @property
    def plain(self) -> dict[str, object]:
        """For programs."""
        return {
            "destination": self.destination,
            "studies": self.studies,
            "objects": self.objects,
            "resent": self.resent,
            "missing": [_plain(one) for one in self.missing],
            "changed": [{**_plain(one), "attributes": list(one.changed)} for one in self.changed],
            "unknown": [_plain(one) for one in self.unknown],
            "incomplete": [
                {
                    "study_instance_uid": one.study_instance_uid,
                    "announced": one.announced,
                    "received": one.received,
                }
                for one in self.incomplete
            ],
        }

    @property
    def words(self) -> str:
        """In a line."""
        counts = f"{len(self.missing)} missing, {len(self.changed)} changed"
        counts += f", {len(self.unknown)} cannot be looked for" if self.unknown else ""
        counts += f", {self.resent} sent again" if self.resent else ""
        return f"{self.destination}: {self.objects} objects of {self.studies} studies, {counts}"


def _compared(
    site: "Site", chosen: "list[Destination]", since_ms: int, study: str | None, *, resend: bool
) -> list[_Compared]:
    from router.commitment.reconciling import Comparing, studies
    from router.net.errors import NetError
    from router.store.opening import open_store

    found = []
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(site))
        store = open_store(site)
        for one in chosen:
            comparing = Comparing(
                destination=one, ledger=ledger, store=store, ignored=one.may_change
            )
            compared = _Compared(destination=one.name)
            try:
                for each in studies(comparing, since_ms=since_ms, study=study):
                    compared.add(each)
                    compared.resent += _resend(ledger, each) if resend else 0
            except NetError as error:
                fail(Exit.UNAVAILABLE, f"{one.name} does not tell: {error}")
            found.append(compared)
    return found


def _chosen(site: "Site", names: list[str]) -> "Iterator[Destination]":
    for name in names or [one.name for one in site.destinations if one.dicom is not None]:
        found = site.destination(name)
        if found is None or found.dicom is None:
            fail(Exit.USAGE, f"there is no DICOM destination {name}")
        yield found


def _resend(ledger: "Ledger", study: "StudyCompared") -> int:
    from router.ledger import reconciling

    ids = [one.sent.delivery_id for one in study.findings if one.resendable]
    if not ids:
        return 0
    with ledger.write() as connection:
        return reconciling.resend(connection, ids, by=operator())


def _say(found: list[_Compared]) -> None:
    rows: list[list[str | int | None]] = [
        [
            compared.destination,
            one.sent.study_instance_uid,
            one.sent.sop_instance_uid,
            one.sent.delivery_id,
            one.why,
        ]
        for compared in found
        for one in (*compared.missing, *compared.changed, *compared.unknown)
    ]
    if rows:
        say_table(["destination", "study", "SOP instance", "delivery", "why"], rows)
    for compared in found:
        for study in compared.incomplete:
            words = f"{study.received} of {study.announced} instances that are announced came in"
            typer.echo(f"study {study.study_instance_uid}: {words}")
        typer.echo(compared.words)


def _plain(one: "Finding") -> dict[str, object]:
    return {
        "study_instance_uid": one.sent.study_instance_uid,
        "sop_instance_uid": one.sent.sop_instance_uid,
        "object_id": one.sent.object_id,
        "delivery_id": one.sent.delivery_id,
        "state": one.sent.state.value,
        "why": one.why,
        "resendable": one.resendable,
    }

"""`dicom-router rules diff`: two versions of the rules, as written and as they decide."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.render import say_json, say_table, shown
from router.cli.rules.folder import count, facts_of_file, read_sample
from router.cli.rules.naming import Named, named
from router.config import Site
from router.config_values import parse_duration
from router.ledger.recent import received_within
from router.routing.headers import open_header
from router.store.opening import open_store
from rules.comparing import changes, difference
from rules.encoded.data_set import MalformedDataSet
from rules.facts import Facts, SourceFacts
from rules.routes import RouteTable, match

RECENT = "recent"
MOST_SHOWN = 20
NOBODY = SourceFacts(calling_ae_title="", called_ae_title="", address="", listener="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One object that would be treated differently."""

    object: str
    kind: str
    detail: str


@dataclass(slots=True)
class Outcome:
    """What comes of the comparison: numbers by kind, and every case."""

    counts: Counter[str] = field(default_factory=Counter)
    cases: list[Case] = field(default_factory=list)


def diff(
    old: Annotated[
        str, typer.Argument(help="`in-force`, `files`, `previous`, a version or a folder.")
    ] = "in-force",
    new: Annotated[str, typer.Argument(help="The same.")] = "files",
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            help="`recent`: the objects of the last days; or DICOM files. May be repeated.",
        ),
    ] = None,
    since: Annotated[str, typer.Option("--since", help="How long ago `recent` begins.")] = "1d",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="At most so many recent objects.")
    ] = 1000,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between two versions of the rules: in the routes, and for objects.

    Objects are decided on as they lie in the store; nothing is sent or changed. Exits with 0
    whatever is different, 2 if rules or files cannot be used.
    """
    site = open_site(config)
    within = parse_duration(since)
    with open_ledger(site) as ledger, ledger.read() as connection:
        before, after = named(site, connection, old), named(site, connection, new)
    written = changes(before.texts, after.texts)
    outcome = Outcome()
    if against:
        tables = before.load(site), after.load(site)
        for name in against:
            found = _recent(site, int(float(str(within)) * 1000), limit)
            for label, facts in found if name == RECENT else _files(Path(name)):
                _compare(label, facts, *tables, outcome)
    if as_json:
        say_json(
            {
                "old": {"name": before.label, "version": before.version},
                "new": {"name": after.label, "version": after.version},
                "routes": written,
                "counts": dict(outcome.counts),
                "cases": outcome.cases,
            }
        )
    else:
        _say(before, after, [str(change) for change in written], outcome, bool(against))


def _compare(label: str, facts: Facts, old: RouteTable, new: RouteTable, outcome: Outcome) -> None:
    try:
        found = difference(match(old, facts, arriving=True), match(new, facts, arriving=True))
    except MalformedDataSet:
        outcome.counts["unreadable"] += 1
        return
    outcome.counts[found.kind if found else "same"] += 1
    if found:
        outcome.cases.append(Case(object=label, kind=found.kind, detail=found.detail))


def _recent(site: Site, within_ms: int, limit: int) -> Iterator[tuple[str, Facts]]:
    """Objects whose bytes are still there. The header is open until the next is asked for."""
    store = open_store(site)
    with open_ledger(site) as ledger, ledger.read() as connection:
        objects = list(received_within(connection, within_ms, limit))
    for stored in objects:
        with ExitStack() as open_until:
            try:
                header = open_until.enter_context(open_header(store, stored))
            except FileNotFoundError:
                continue  # forgotten since
            except OSError as error:
                fail(Exit.UNAVAILABLE, f"{stored.id}: cannot be read: {error}")
            except MalformedDataSet:
                continue  # held, whatever the rules
            yield stored.id, header.facts


def _files(path: Path) -> Iterator[tuple[str, Facts]]:
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for file in files:
        try:
            yield str(file), facts_of_file(read_sample(file), NOBODY)
        except (OSError, ValueError, MalformedDataSet) as error:
            if file is path:
                fail(Exit.USAGE, f"{file}: cannot be read: {error}")


def _say(before: Named, after: Named, written: list[str], outcome: Outcome, against: bool) -> None:
    typer.echo(f"from {before.label} to {after.label}")
    for change in written or ["no route is different"]:
        typer.echo(f"  {shown(change)}")
    if not against:
        return
    total = outcome.counts.total()
    typer.echo(f"{count(total, 'object')}: {outcome.counts['same']} as before")
    rows: list[list[str | int | None]] = [
        [kind, number] for kind, number in outcome.counts.most_common() if kind != "same"
    ]
    if rows:
        say_table(["different", "objects"], rows)
        shown_cases = outcome.cases[:MOST_SHOWN]
        say_table(
            ["object", "different", "before -> after"],
            [[case.object, case.kind, case.detail] for case in shown_cases],
        )
        if len(outcome.cases) > MOST_SHOWN:
            typer.echo(f"… and {len(outcome.cases) - MOST_SHOWN} more: --json has them all")

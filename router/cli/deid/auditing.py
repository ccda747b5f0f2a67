"""`dicom-router deid audit` and `deid vault`: who asked the vault, and what is in it."""

from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.deid.vaults import asking
from router.cli.options import ConfigOption, Exit, JsonOption, fail, open_ledger, open_site
from router.cli.render import Cell, iso, local, say_json, say_table

if TYPE_CHECKING:
    from router.ledger.vault import Audit


def audit(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="What was asked for, too: patient data.")
    ] = False,
    why: Annotated[str, typer.Option("--why", help="The reason, with --show-values.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who asked the vault, when, why, and what came of it; the newest first.

    What was asked for is sealed in the ledger. To show it takes the vault's key, and is written
    down itself. Exits with 1 if nobody has ever asked.
    """
    from router.ledger import vault

    site = open_site(config)
    with open_ledger(site) as ledger, ledger.read() as connection:
        found = vault.audits(connection, limit=limit)
    asked: list[str | None] = [None] * len(found)
    if show_values:
        with asking(config, why) as opened:
            asked = opened.words_of(found)
    if as_json:
        say_json([_as_data(one, words) for one, words in zip(found, asked, strict=True)])
    else:
        _say(found, asked)
    if not found:
        fail(Exit.FAILED, "nobody has asked the vault")


def _as_data(one: "Audit", words: str | None) -> dict[str, object]:
    told: dict[str, object] = {"at": iso(one.at), "who": one.who, "why": one.why}
    told |= {"action": one.action, "outcome": one.outcome, "entries": one.entries}
    return told | ({"asked": words} if words is not None else {})


def _say(found: "list[Audit]", asked: list[str | None]) -> None:
    headings = ["at", "who", "action", "outcome", "rows", "why"]
    rows: list[list[Cell]] = [
        [local(one.at), one.who, one.action, one.outcome, one.entries, one.why] for one in found
    ]
    if any(words is not None for words in asked):
        headings.append("asked")
        rows = [[*row, words] for row, words in zip(rows, asked, strict=True)]
    if rows:
        say_table(headings, rows)


def contents(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Count what is in the vault, by project and kind, and by the key that opens it.

    Nothing is opened: it needs no key. Exits with 1 if a key is missing in the site.
    """
    from router.ledger import vault

    site = open_site(config)
    known = site.vault.keys if site.vault is not None else {}
    with open_ledger(site) as ledger, ledger.read() as connection:
        found = vault.counts(connection)
    missing = sorted({key for key, *_ in found} - set(known))
    if as_json:
        names = ("key", "project", "kind", "rows")
        rows = [dict(zip(names, row, strict=True)) for row in found]
        say_json({"contents": rows, "missing_keys": missing})
    else:
        table: list[list[Cell]] = [
            [project, kind, number, key, "yes" if key in known else "no"]
            for key, project, kind, number in found
        ]
        say_table(["project", "kind", "rows", "key", "can be opened"], table)
    if missing:
        fail(Exit.FAILED, f"the site has no key {', '.join(missing)}")

"""`dicom-router deid lookup`: who somebody is, or was made."""

from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.deid.vaults import WhyOption, asking, say_unread
from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import Cell, iso, local, say_json, say_table

if TYPE_CHECKING:
    from router.ledger.vault import Pair
    from router.vault.asking import Found


def lookup(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="A Patient ID, accession number or UID, as it was or as it is now."
        ),
    ],
    why: WhyOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look up what an ID or UID was before de-identification, or became, in the vault.

    It is written down who asked, when, for what and why, before anything is told. Exits with 1 if
    the vault does not know it, or a row was changed; 2 without the vault's key.
    """
    with asking(config, why) as vault:
        found, unread = vault.lookup(name.strip())
    if as_json:
        say_json([_as_data(one) for one in found])
    else:
        _say(found)
    say_unread(unread)
    if unread.touched:
        raise typer.Exit(Exit.FAILED)
    if not found:
        fail(Exit.FAILED, "the vault knows nothing by this name")


def _as_data(found: "Found") -> dict[str, object]:
    pair = found.pair
    told: dict[str, object] = {"project": pair.project, "profile": pair.profile}
    told |= {"version": pair.version, "since": iso(found.at), **_of(pair)}
    return {**told, "belongs_to": [_of(one) for one in found.belongs_to]}


def _of(pair: "Pair") -> dict[str, object]:
    told: dict[str, object] = {"kind": pair.kind, "id_old": pair.old, "id_new": pair.new}
    more = {"issuer": pair.issuer, "name": pair.name, "days": pair.days}
    return told | {key: value for key, value in more.items() if value not in ("", None)}


def _say(found: "list[Found]") -> None:
    rows: list[list[Cell]] = []
    for one in found:
        pair = one.pair
        rows.append([*_cells(pair), pair.project, pair.profile, pair.version, local(one.at)])
        rows += [
            [f"  of {above.kind}", *_cells(above)[1:], "", "", "", ""] for above in one.belongs_to
        ]
    if rows:
        headings = ["what", "was", "is now", "dates", "more"]
        say_table([*headings, "project", "profile", "version", "since"], rows)


def _cells(pair: "Pair") -> list[Cell]:
    more = [f"issuer {pair.issuer}"] if pair.issuer else []
    more += [f"name {pair.name}"] if pair.name else []
    days = f"{pair.days} days" if pair.days is not None else "-"
    return [pair.kind, pair.old, pair.new or "-", days, ", ".join(more) or "-"]

"""`dicom-router deid check`: whether what came out still says what went in."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.deid.options import FolderOption, OptionsOption, profile_named
from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json, shown

if TYPE_CHECKING:
    from router.cli.deid.matching import Pair
    from rules.deid.profile import Profile
    from rules.deid.scan import Scan
    from rules.deid.table import Option

MOST = 20
"""Findings of a file that are told to a person."""


def check(
    result: Annotated[Path, typer.Argument(metavar="OUT", help="What came out: file or folder.")],
    against: Annotated[Path, typer.Option(help="What went in: file or folder.")],
    crosswalk: Annotated[
        Path | None,
        typer.Option(help="CSV id_old,id_new of SOP Instance UIDs, where names differ."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            "-p",
            help="The profile by which it was done: its key tells which original became which, "
            "what it keeps is not sought.",
        ),
    ] = None,
    folder: FolderOption = None,
    config: ConfigOption = None,
    options: OptionsOption = None,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Print the values: they are patient data.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look for values of the originals anywhere in the bytes of what came out.

    Names, numbers, dates, UIDs and texts; in every attribute, private ones, file meta and preamble,
    in any character set, within longer texts. Without `--profile` and `--retained`, the options are
    those that the file says were used. Exits with 1 for findings, 2 for what cannot be read or
    matched.
    """
    from router.cli.deid.matching import Unmatched, pairs_of, read_crosswalk

    by = profile_named(profile, folder, config) if profile is not None else None
    if by is not None and options is None:
        options = [str(option) for option in by.options] or ["none"]
    try:
        mapping = read_crosswalk(crosswalk) if crosswalk is not None else None
        pairs = pairs_of(result, against, mapping, by.secret if by is not None else None)
    except Unmatched as error:
        fail(Exit.USAGE, str(error))
    told: list[dict[str, object]] = []
    for pair in pairs:
        scanned = _scanned(pair, options, by)
        told.append(_as_data(pair, scanned, show_values=show_values))
        if not as_json:
            _say(pair, scanned, show_values=show_values)
    bad = sum(1 for one in told if one["findings"])
    if as_json:
        say_json({"files": told, "files_with_findings": bad})
    else:
        typer.echo(f"{len(told)} checked, {bad} with findings")
    if bad:
        raise typer.Exit(Exit.FAILED)


def _scanned(pair: "Pair", options: "Sequence[str] | None", by: "Profile | None") -> "Scan":
    from router.cli.deid.options import chosen, stamped
    from router.cli.rules.folder import HEAD, read_sample
    from router.dicom.part10 import read_file_meta
    from rules.deid.scan import scan
    from rules.encoded.forms import DEFLATED, MalformedDataSet

    path = pair.original
    try:
        original = read_sample(path)
        path = pair.result
        result = read_sample(path)
        used: tuple[Option, ...] = chosen(options) if options is not None else stamped(result)
        head = b""
        if result.transfer_syntax_uid == DEFLATED:
            with path.open("rb") as file:
                start = file.read(HEAD)
            head = start[: read_file_meta(start)[1]]
        kept = by.keep if by is not None else ()
        return scan(original, result, options=used, keep=kept, head=head)
    except (OSError, ValueError, MalformedDataSet) as error:
        fail(Exit.USAGE, f"{path}: {error}")


def _as_data(pair: "Pair", scanned: "Scan", *, show_values: bool) -> dict[str, Any]:
    findings = []
    for one in scanned.findings:
        told = {"kind": one.kind.value, "origin": one.origin, "place": one.place}
        findings.append(told | ({"value": one.value} if show_values else {}))
    return {
        "file": str(pair.result),
        "original": str(pair.original),
        "sought": scanned.sought,
        "too_common": scanned.left_out,
        "findings": findings,
    }


def _say(pair: "Pair", scanned: "Scan", *, show_values: bool) -> None:
    found = scanned.findings
    kinds = Counter(one.kind.value for one in found)
    summary = ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "nothing found"
    typer.echo(
        f"{pair.result}: {summary} ({scanned.sought} values sought, "
        f"{scanned.left_out} too short or common to seek)"
    )
    for one in found[:MOST]:
        value = f": {shown(one.value)}" if show_values else ""
        typer.echo(f"  {one.kind.value} of {one.origin} is in {one.place}{value}")
    if len(found) > MOST:
        typer.echo(f"  and {len(found) - MOST} more")

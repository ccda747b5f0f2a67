"""`dicom-router deid export`: the vault's pairs as a crosswalk."""

import csv
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from router.cli.deid.vaults import ProjectOption, WhyOption, asking, say_unread
from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.queue_filters import older_than
from router.cli.queue_steering import say_progress
from router.cli.render import say_json

if TYPE_CHECKING:
    from router.ledger.vault import Kind, Pair
    from router.vault.asking import Unread

FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes a cell that begins so for: something to be carried out (OWASP)."""
STEP = 10_000  # rows between two words on how far it is


class What(StrEnum):
    """The pairs of which kinds."""

    PATIENTS = "patients"
    UIDS = "uids"
    STUDIES = "studies"
    SERIES = "series"
    INSTANCES = "instances"
    ACCESSIONS = "accessions"


KINDS: "dict[What, tuple[Kind, ...]]" = {
    What.PATIENTS: ("patient",),
    What.UIDS: ("study", "series", "instance"),
    What.STUDIES: ("study",),
    What.SERIES: ("series",),
    What.INSTANCES: ("instance",),
    What.ACCESSIONS: ("accession",),
}


def export(
    what: Annotated[What, typer.Argument(help="Which pairs; `uids`: those of all three levels.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file; it must be new.")],
    why: WhyOption,
    project: ProjectOption = None,
    since: Annotated[
        float | None,
        typer.Option(
            parser=older_than, metavar="AGE", help="What was first seen at most so long ago: 30d."
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="For programs: leave ids alone that begin as formulas.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a crosswalk `id_old,id_new` out of the vault, into a file that only you can read.

    It is written down who asked, when, for what and why. An id that a spreadsheet would take for
    a formula gets a `'` before it. Exits with 1 if rows could not be read: all others are there.
    """
    from router.ledger.vault import Choice
    from router.vault.asking import Unread

    since_ms = None if since is None else round((time.time() - since) * 1000)
    choice = Choice(kinds=KINDS[what], project=project, since=since_ms)
    unread = Unread()
    with asking(config, why) as vault, _new_file(output) as file:
        vault.admit("export", f"{what} of {project or 'all projects'} since {since_ms or 'ever'}")
        pairs = (pair for pair, _ in vault.pairs(choice, unread))
        rows, guarded = write_crosswalk(file, pairs, exact=exact)
        vault.note("export", unread.outcome("written"), entries=rows)
    _say(output, rows, guarded, unread, as_json=as_json)
    if unread.rows:
        raise typer.Exit(Exit.FAILED)


def _say(output: Path, rows: int, guarded: int, unread: "Unread", *, as_json: bool) -> None:
    if as_json:
        say_json({"file": output, "rows": rows, "guarded": guarded, "unread": unread.rows})
    else:
        typer.echo(f"{output}: {rows} rows")
    say_unread(unread)
    if guarded:
        words = "ids begin as a formula does, and have a ' before it now; --exact leaves them"
        typer.echo(f"{guarded} {words}", err=True)


def write_crosswalk(file: TextIO, pairs: "Iterator[Pair]", *, exact: bool) -> tuple[int, int]:
    """How many rows, and how many ids were guarded. What several profiles say is there once."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id_old", "id_new"])
    said: set[tuple[str, str]] = set()
    guarded = 0
    for pair in pairs:
        ids = (pair.old, pair.new)
        if ids in said:
            continue
        said.add(ids)
        safe = ids if exact else tuple(map(guard, ids))
        guarded += sum(one != other for one, other in zip(ids, safe, strict=True))
        writer.writerow(safe)
        if not len(said) % STEP:
            say_progress(len(said))
    return len(said), guarded


def guard(value: str) -> str:
    """A cell that no spreadsheet carries out."""
    return f"'{value}" if value.lstrip(" ")[:1] in FORMULA and value.strip(" ") else value


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """For its owner alone, and whole or not there; never in the place of another one."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        fail(Exit.USAGE, f"{path} is there already: nothing was written, and nothing asked")
    except OSError as error:
        fail(Exit.USAGE, f"cannot write {path}: {error.strerror}")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask says
            yield file
            file.flush()
            os.fsync(descriptor)
    except BaseException as error:
        with suppress(FileNotFoundError):
            path.unlink()
        if isinstance(error, OSError):
            fail(Exit.FAILED, f"cannot write {path}: {error.strerror}")
        raise

"""`dicom-router rules history`, `show`, `reload`, `rollback`: which version is in force, and why.

What is in force, the ledger says: these commands change it there, and every process that routes
follows within a second or two.
"""

import getpass
import socket
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import typer

from router.cli.options import (
    ConfigOption,
    Exit,
    JsonOption,
    fail,
    open_ledger,
    open_site,
    site_path,
)
from router.cli.render import iso, local, say_json, say_table
from router.cli.rules.folder import count
from router.cli.rules.naming import named, version_named
from router.ledger import versions
from router.ledger.versions import Activation
from router.rulebook import read_files
from rules.comparing import changes
from rules.documents.reading import DocumentError

WhyOption = Annotated[str, typer.Option("--why", help="A word for the history.")]


def history(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Which versions were in force since when, who put them there, and what changed.

    Exits with 1 if the router has never run.
    """
    with open_ledger(open_site(config)) as ledger, ledger.read() as connection:
        newest = versions.activations(connection, limit + 1)
        names = {one.version for one in newest}
        texts = {name: kept.texts for name in names if (kept := versions.get(connection, name))}
    changed = [
        _changes(texts, later, earlier) for later, earlier in zip_longest(newest, newest[1:])
    ]
    rows = list(zip(newest, changed, strict=True))[:limit]
    if as_json:
        say_json(
            [
                {
                    "at": iso(one.at),
                    "version": one.version,
                    "in_force": one is newest[0],
                    "source": one.source,
                    "who": one.who,
                    "why": one.why,
                    "changes": told,
                }
                for one, told in rows
            ]
        )
    else:
        _say_history(rows)
    if not newest:
        fail(Exit.FAILED, "no rules were ever in force")


def _changes(
    texts: Mapping[str, Mapping[str, str]], later: Activation, earlier: Activation | None
) -> list[str]:
    if earlier is None or later.version not in texts or earlier.version not in texts:
        return []
    old, new = texts[earlier.version], texts[later.version]
    found = [str(change) for change in changes(old, new)]
    if not found and later.version != earlier.version:
        return ["tables" if dict(old) == dict(new) else "remarks"]
    return found


def _say_history(rows: Sequence[tuple[Activation, list[str]]]) -> None:
    shown = [
        [
            "*" if not index else "",
            local(one.at),
            one.version,
            one.source,
            one.who,
            one.why,
            "; ".join(told) or "-",
        ]
        for index, (one, told) in enumerate(rows)
    ]
    say_table(["", "in force since", "version", "by", "who", "why", "what changed"], shown)
    if rows and rows[0][0].source == "rollback":
        typer.echo(
            "rolled back: it stays so, over restarts too, until a rule file changes or "
            "`dicom-router rules reload`",
            err=True,
        )


def show(
    version: Annotated[str, typer.Argument(help="A version, `in-force` or `previous`.")],
    into: Annotated[
        Path | None, typer.Option("--into", help="Write the files into this folder; it is made.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the rule files of a version, or write them into a folder. Tables are not kept."""
    site = open_site(config)
    with open_ledger(site) as ledger, ledger.read() as connection:
        found = named(site, connection, version)
    if into is not None:
        try:
            into.mkdir(parents=True, exist_ok=True)
            for name, text in found.texts.items():
                (into / name).write_text(text, encoding="utf-8")
        except OSError as error:
            fail(Exit.FAILED, f"cannot write into {into}: {error.strerror}")
    if as_json:
        say_json({"version": found.version, "files": found.texts})
    elif into is None:
        for name, text in sorted(found.texts.items()):
            typer.echo(f"# {name}\n{text.rstrip()}\n")
    else:
        typer.echo(f"{into}: {count(len(found.texts), 'file')} of version {found.version}")


def reload(why: WhyOption = "", config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put the site's files in force, in every process that routes; a rollback ends.

    Exits with 0 if they are in force now, 2 if they have mistakes: then nothing changes.
    """
    path = site_path(config)
    try:
        files = read_files(path)
    except DocumentError as error:
        fail(Exit.USAGE, f"{error}\nnothing was changed")
    with open_ledger(files.site) as ledger, ledger.write() as connection:
        table = files.table
        versions.activate(
            connection, table.version, table.texts, source="command", who=_who(), why=why
        )
    _say_in_force(table.version, len(table.routes), as_json=as_json)


def rollback(
    version: Annotated[
        str, typer.Argument(help="A version of `rules history`, or how its name begins.")
    ] = "previous",
    why: WhyOption = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an earlier version in force, in every process that routes. The files stay as they are.

    It stays in force over restarts, until a rule file changes, or `rules reload`. Exits with 1 if
    there is no such version, 2 if it does not fit the site as it is now: then nothing changes.
    """
    site = open_site(config)
    with open_ledger(site) as ledger, ledger.write() as connection:
        found = named(site, connection, version_named(connection, version))
        table = found.load(site, fitting=True)
        assert found.version is not None
        versions.activate(
            connection, found.version, found.texts, source="rollback", who=_who(), why=why
        )
    _say_in_force(found.version, len(table.routes), as_json=as_json)
    typer.echo(
        "The files still say otherwise: correct them before the next change, which ends this.",
        err=True,
    )


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):  # a container's user without a name
        return socket.gethostname()


def _say_in_force(version: str, routes: int, *, as_json: bool) -> None:
    if as_json:
        say_json({"version": version, "routes": routes})
    else:
        typer.echo(f"in force: version {version}, {count(routes, 'route')}.")

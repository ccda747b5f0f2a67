"""What the commands have in common that ask the vault: its keys, who asks, and what went wrong."""

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import Exit, fail, open_ledger, open_site

if TYPE_CHECKING:
    from router.vault.asking import Asking, Unread

WhyOption = Annotated[
    str, typer.Option("--why", help="The reason, for the audit: a ticket, a request, a study.")
]

ProjectOption = Annotated[
    str | None,
    typer.Option("--project", help="Of this key that pseudonyms were made with; else of all."),
]


def who() -> str:
    """Whom the system knows this process by; what the environment says counts for nothing but
    beside root, where sudo says who became it."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's user without a name
        name = f"uid {uid}"
    behind = os.environ.get("SUDO_USER")
    return f"{name}{f' ({behind})' if uid == 0 and behind else ''}@{socket.gethostname()}"


@contextmanager
def asking(config: Path | None, why: str) -> Iterator["Asking"]:
    """Somebody who asks the site's vault; or the end of the command."""
    from router import logs
    from router.vault.asking import Asking, WrongSecret
    from router.vault.sealing import VaultKeys

    if not why.strip():
        fail(Exit.USAGE, "whoever asks the vault says why: --why 'ticket 4711'")
    site = open_site(config)
    if site.vault is None:
        fail(Exit.USAGE, "the site has no vault: see `vault` in docs/configuration.md")
    logs.configure(level=site.log.level, style=site.log.format)
    with open_ledger(site) as ledger:
        try:
            yield Asking(ledger, VaultKeys(site.vault), who=who(), why=why.strip())
        except WrongSecret as error:
            fail(
                Exit.USAGE,
                f"the secret of {error} is not the one that sealed under this name: the site names "
                "another file, or another site's. Nothing can be read with it; this was noted.",
            )


def say_unread(unread: "Unread") -> None:
    """Warn of rows that nobody can read."""
    for name, number in sorted(unread.missing.items()):
        typer.echo(
            f"{number} rows are sealed with the key {name}, which the site does not have: "
            "what they say is not among these",
            err=True,
        )
    if unread.touched:
        first = unread.touched[0].hex()
        typer.echo(
            f"{len(unread.touched)} rows are not as they were sealed, and say nothing: somebody "
            f"changed them, or the database is damaged (the first: digest {first})",
            err=True,
        )

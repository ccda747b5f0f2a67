"""`dicom-router deid forget` and `deid reseal`: take pairs out of the vault; change its key."""

from typing import Annotated

import typer

from router.cli.deid.vaults import ProjectOption, WhyOption, asking, say_unread
from router.cli.options import ConfigOption, Exit, JsonOption, fail, is_terminal
from router.cli.queue_steering import say_progress
from router.cli.render import say_json


def forget(
    why: WhyOption,
    patient: Annotated[
        str | None, typer.Argument(metavar="[PATIENT]", help="A Patient ID, as it was or is now.")
    ] = None,
    project: ProjectOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Forget, without asking.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take all of a patient out of the vault, or all of a project: nobody can go back from there.

    That it was done stays in the audit. Exits with 1 if there is nothing to forget.
    """
    from router.ledger.vault import Choice
    from router.vault.asking import Unread

    if patient is None and project is None:
        fail(Exit.USAGE, "whom? name a patient, or a project with --project, or both")
    meant = " in ".join(words for words in (patient, project) if words)
    if not yes:
        _be_sure(meant, as_json=as_json)
    with asking(config, why) as vault:
        subjects = vault.subjects(patient.strip()) if patient is not None else ()
        count = vault.forget(Choice(project=project, subjects=subjects), meant)
        unread = vault.not_searched() if patient is not None else Unread()
    if as_json:
        say_json({"forgotten": count})
    elif count:
        typer.echo(f"forgotten: {count} rows")
        typer.echo(
            "The objects themselves and their history stay for as long as `retention` says, and "
            "backups of the ledger for as long as you keep them.",
            err=True,
        )
    say_unread(unread)
    if not count:
        fail(Exit.FAILED, "the vault knows nothing of that")


def _be_sure(meant: str, *, as_json: bool) -> None:
    if as_json or not is_terminal():
        fail(Exit.USAGE, "what is forgotten cannot be brought back: say --yes")
    typer.confirm(f"Forget {meant}, for good?", abort=True)


def reseal(why: WhyOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Seal everything in the vault anew with the key that seals now (`seal_with`).

    After that, earlier keys may be taken out of the site's file. It may be stopped and begun
    again. Exits with 1 if rows are left that could not be read.
    """
    with asking(config, why) as vault:
        count, unread = vault.reseal(say_progress)
    if as_json:
        say_json({"resealed": count, "unread": unread.rows})
    else:
        typer.echo(f"resealed: {count} rows")
    say_unread(unread)
    if unread.rows:
        raise typer.Exit(Exit.FAILED)

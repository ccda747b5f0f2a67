"""Commands that look and steer. `app` is the root; `workers.__main__` adds what runs processes.

A command's module is imported when the command is called, so that `dicom-router --help` is quick. A
module `router.cli.NAME` has either a typer `app` of sub-commands or a function NAME.
"""

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

#: The commands in reading order; the sentence is what `dicom-router --help` shows of each.
COMMANDS = {
    "config": "Check a site's file, or write the JSON Schema of one.",
    "rules": "Check, test and explain rules; compare them, put them in force, roll them back.",
    "deid": "Show what de-identification does; check what is left; look up who was who.",
    "db": "Bring the ledger's schema up to date, or check that it is.",
    "queue": "What is owed to which destination, and since when; what to do about it.",
    "bundles": "Studies and series that routes wait for; close them by hand.",
    "broker": "How full the broker's queues are, and the tickets that nobody could do.",
    "trace": "Everything known about an object: received, routed, edited, tried, delivered.",
    "studies": "A line for each study and destination: received, delivered, committed, missing.",
    "reconcile": "What destinations lack of what they were sent (C-FIND), and send it again.",
    "echo": "Ask a destination whether it answers (C-ECHO).",
    "send": "Send files and folders to a Storage SCP.",
    "sink": "Receive, count, and answer as told: a Storage SCP for trying things out.",
}


class _OnCall(TyperCommand):
    """Stands in for a command in the listing, and makes way for the real one when called."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return load(self.name or "").make_context(info_name, args, parent, **extra)


class _Commands(TyperGroup):
    def __init__(self, *, commands: Any = None, **settings: Any) -> None:
        on_call = {name: _OnCall(name, help=words) for name, words in COMMANDS.items()}
        super().__init__(commands={**(commands or {}), **on_call}, **settings)


# Tracebacks stay plain: typer's show local variables, and an object's header may be among them.
app = typer.Typer(
    cls=_Commands,
    name="dicom-router",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def load(name: str) -> Any:
    """The command `dicom-router NAME`, its module imported."""
    module = import_module(f"{__name__}.{name}")
    if isinstance(getattr(module, "app", None), typer.Typer):
        return get_command(module.app)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(getattr(module, name))
    return get_command(alone)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(version("dicom-router"))
        except PackageNotFoundError:
            typer.echo("not installed")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Say the version."),
    ] = False,
) -> None:
    """Route DICOM objects from where they are made to where they are needed, and lose none."""

"""`dicom-router deid`: look at de-identification, and prove it."""

import typer

from router.cli.deid import checking, explaining, previewing

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show what de-identification does to a file, and check that nothing is left of it.",
)

app.command("check")(checking.check)
app.command("explain")(explaining.explain)
app.command("preview")(previewing.preview)

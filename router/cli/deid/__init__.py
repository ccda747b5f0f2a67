"""`dicom-router deid`: look at de-identification, prove it, and go back by the vault."""

import typer

from router.cli.deid import (
    auditing,
    checking,
    explaining,
    exporting,
    forgetting,
    looking_up,
    previewing,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Show what de-identification does, check that nothing is left, ask who was who.",
)

app.command("check")(checking.check)
app.command("explain")(explaining.explain)
app.command("preview")(previewing.preview)
app.command("lookup")(looking_up.lookup)
app.command("export")(exporting.export)
app.command("forget")(forgetting.forget)
app.command("reseal")(forgetting.reseal)
app.command("audit")(auditing.audit)
app.command("vault")(auditing.contents)

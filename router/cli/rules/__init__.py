"""`dicom-router rules`: check rules, test them, explain them, compare, put in force, roll back."""

import typer

from router.cli.rules import checking, describing, diffing, explaining, shadowing, testing, versions

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Check, test and explain rules; compare them, put them in force, roll them back.",
)

app.command("check")(checking.check)
app.command("test")(testing.run_tests)
app.command("explain")(explaining.explain)
app.command("history")(versions.history)
app.command("show")(versions.show)
app.command("reload")(versions.reload)
app.command("rollback")(versions.rollback)
app.command("shadow")(shadowing.shadow)
app.command("diff")(diffing.diff)
app.command("schema")(describing.schema)

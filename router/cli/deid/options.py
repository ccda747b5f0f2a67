"""What the commands of `deid` have in common: a profile, and the options that a file says."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import Exit, fail

if TYPE_CHECKING:
    from rules.deid.profile import Profile
    from rules.deid.table import Option
    from rules.encoded.data_set import EncodedDataSet

OptionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--retained",
        metavar="OPTION",
        show_default="as the file says",
        help='An option of the profile, such as "retain uids" (repeat it); "none" for no option.',
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        "-p",
        show_default="the only one that routes name",
        help="A profile of the rules, by its name; `basic` is the Basic Profile.",
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--rules", help="A folder of rule files.", show_default="those of the site"),
]
BASIC = "basic"


def chosen(words: Sequence[str]) -> "tuple[Option, ...]":
    """The options of these names, or the end of the command."""
    from rules.deid.table import Option

    found = []
    for word in words:
        if word == "none":
            continue
        try:
            found.append(Option(word))
        except ValueError:
            fail(Exit.USAGE, f"{word}: no such option; known: {', '.join(Option)}")
    return tuple(found)


def stamped(result: "EncodedDataSet") -> "tuple[Option, ...]":
    """The options that an object says were used (CID 7050)."""
    from rules.deid.stamping import options_of
    from rules.tags import parse_path

    codes = result.values(parse_path("DeidentificationMethodCodeSequence.CodeValue"))
    return options_of(codes or ())


def profile_named(name: str | None, folder: Path | None, config: Path | None) -> "Profile":
    """A profile that routes name; the Basic Profile with a key that is no secret."""
    from router.cli.rules.folder import chosen_rules
    from rules.deid.profile import Profile
    from rules.documents.reading import DocumentError
    from rules.resources import Resources, StandIns
    from rules.tables import Tables

    if name == BASIC:
        context = {"resources": Resources(Tables(None), StandIns())}
        return Profile.model_validate({"key": BASIC}, context=context)
    try:
        table = chosen_rules(folder, config).load()
    except DocumentError as error:
        fail(Exit.USAGE, str(error))
    profiles = {
        route.dispatch.deidentify: route.dispatch.profile
        for route in table.routes
        if route.dispatch.deidentify is not None
    }
    if name is None and len(profiles) == 1:
        (name,) = profiles
    found = profiles.get(name or "")
    if found is None:
        known = ", ".join(profiles) or "none"
        wanted = f"{name}: no route names this profile" if name else "which profile? --profile NAME"
        fail(Exit.USAGE, f"{wanted}; in the rules: {known}; or {BASIC}")
    return found

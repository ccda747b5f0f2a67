"""`dicom-router deid explain`: what happens to each attribute, and by which row of the table."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.deid.options import FolderOption, ProfileOption, profile_named
from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json, say_table

if TYPE_CHECKING:
    from router.cli.deid.telling import Told
    from rules.deid.profile import Profile
    from rules.edits import Edited
    from rules.encoded.data_set import EncodedDataSet


def explain(
    file: Annotated[Path, typer.Argument(help="A DICOM file.")],
    profile: ProfileOption = None,
    folder: FolderOption = None,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="What is kept as it was, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what de-identification does to each attribute of a file, and by which row of the table.

    Nothing is sent or written. It shows values of the object: they are patient data. Exits with 1
    for an object that the profile does not let pass, with the reason; 2 if the file cannot be read.
    """
    _, _, told = told_of(file, profile_named(profile, folder, config))
    if not everything:
        told = [one for one in told if one.deed != "kept"]
    if as_json:
        say_json([asdict(one) | {"deed": one.deed} for one in told])
        return
    say_table(
        ("attribute", "code", "what", "before", "after", "row of E.1-1"),
        [(one.path, one.listed, one.deed, one.before, one.after, one.row) for one in told],
    )


def told_of(file: Path, profile: "Profile") -> "tuple[EncodedDataSet, Edited, list[Told]]":
    """The object, its edits, and what became of each attribute; or the end of the command."""
    from router.cli.deid.telling import tell
    from router.cli.rules.folder import read_sample
    from rules.deid.engine import Dropped
    from rules.encoded.data_set import MalformedDataSet
    from rules.encoded.draft import EditFailed

    try:
        data_set = read_sample(file)
        told, edited = tell(data_set, profile, _opener())
    except EditFailed as error:
        end = "" if isinstance(error, Dropped) else "held: "
        fail(Exit.FAILED, f"{file} would be {end}{error}")
    except (OSError, ValueError, MalformedDataSet) as error:
        fail(Exit.USAGE, f"{file}: {error}")
    return data_set, edited, told


def _opener() -> "Callable[[EncodedDataSet, Edited], EncodedDataSet]":
    from router.transcoding.parts import blocks_of
    from rules.encoded.data_set import EncodedDataSet

    def opened(original: EncodedDataSet, edited: "Edited") -> EncodedDataSet:
        content = b"".join(blocks_of(original, edited.pieces))
        return EncodedDataSet.read(content, edited.transfer_syntax_uid)

    return opened

"""Which rules a command looks at, and the DICOM files that it reads."""

import mmap
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.options import open_site

if TYPE_CHECKING:
    from router.config import Site
    from rules.encoded.data_set import EncodedDataSet
    from rules.facts import Facts, SourceFacts
    from rules.lint import SiteNames
    from rules.routes import RouteTable

FolderArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A folder of rule files, to look at apart from a site.",
        show_default="the rules of the site",
    ),
]
HEAD = 1 << 16  # bytes: more than the file meta information of any object takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """A folder of rules and, where one stands behind them, their site."""

    folder: Path
    site: "Site | None" = None

    def names(self) -> "SiteNames | None":
        """What the site has that rules may name; None without a site."""
        from rules.lint import SiteNames

        site = self.site
        if site is None:
            return None
        titles = [source.ae_title for source in site.sources]
        answered: set[str] | None = set()
        for listener in site.listeners:
            own = listener.called_ae_titles
            if own == "any":
                answered = None
            elif answered is not None:
                answered.update(own or (listener.ae_title,))
        return SiteNames(
            needed=[name for name in site.destination_names if name != site.on_no_match],
            listeners=[listener.name for listener in site.listeners],
            calling=None if not titles or None in titles else [t for t in titles if t],
            called=answered,
        )

    def load(self) -> "RouteTable":
        """DocumentError with every mistake."""
        from router.rulebook import rules_of
        from rules.loading import load_rules
        from rules.resources import StandIns

        if self.site is None:
            return load_rules(self.folder, destinations=None, keys=StandIns())
        return rules_of(self.site, folder=self.folder)


def chosen_rules(folder: Path | None, config: Path | None) -> Rules:
    """Of the folder alone, of the site alone, or of the folder with the site's destinations."""
    if folder is not None and config is None:
        return Rules(folder=folder)
    site = open_site(config)
    return Rules(folder=folder or site.rules, site=site)


def read_sample(path: Path) -> "EncodedDataSet":
    """A Part 10 file, mapped: pixel data is not read. OSError, or ValueError with the reason."""
    from router.dicom.errors import Part10Error
    from router.dicom.part10 import read_file_meta
    from rules.encoded.data_set import EncodedDataSet, MalformedDataSet

    with path.open("rb") as file:
        try:
            meta, offset = read_file_meta(file.read(HEAD))
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return EncodedDataSet.read(content, meta.transfer_syntax_uid, offset)
        except (Part10Error, MalformedDataSet) as error:
            raise ValueError(str(error)) from None


def count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def facts_of_file(data_set: "EncodedDataSet", source: "SourceFacts") -> "Facts":
    """What a file tells of itself, and who is said to have sent it, now."""
    from rules.facts import Facts, FileFacts
    from rules.tags import parse_path

    sop_class = data_set.values(parse_path("SOPClassUID")) or ("",)
    return Facts(
        attributes=data_set,
        source=source,
        file=FileFacts(
            sop_class_uid=sop_class[0],
            transfer_syntax_uid=data_set.transfer_syntax_uid,
            size=len(data_set.source) - data_set.start,
        ),
        received=datetime.now(UTC),
    )

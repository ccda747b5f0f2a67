"""Names of rules in commands: `files`, `in-force`, `previous`, a version, a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from router.cli.options import Exit, fail
from router.config import Site
from router.ledger import versions
from router.rulebook import rules_of
from rules.documents.reading import DocumentError
from rules.routes import RouteTable

WORDS = ("in-force", "files", "previous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Rules as a command named them. `version` is the ledger's where they come from there."""

    label: str
    version: str | None
    texts: Mapping[str, str]
    folder: Path

    def load(self, site: Site, *, fitting: bool = False) -> RouteTable:
        """Their table, with the tables in their folder; the end of the command for mistakes."""
        try:
            return rules_of(site, self.texts, folder=self.folder, fitting=fitting)
        except DocumentError as error:
            fail(Exit.USAGE, f"{self.label}:\n{error}")


def named(site: Site, connection: Connection, name: str) -> Named:
    """The rules of this name; the end of the command if there are none."""
    if name == "files":
        return _of_folder(name, site, site.rules)
    if name not in WORDS and Path(name).is_dir():
        return _of_folder(name, site, Path(name))
    version = version_named(connection, name)
    kept = versions.get(connection, version)
    if kept is None:
        fail(Exit.FAILED, f"the ledger no longer has version {version}")
    label = version if name == version or name not in WORDS else f"{name} ({version})"
    return Named(label=label, version=version, texts=kept.texts, folder=site.rules)


def version_named(connection: Connection, name: str) -> str:
    """A version by its name, by how that begins, or `in-force` or `previous`."""
    if name in ("in-force", "previous"):
        known = [one.version for one in versions.activations(connection, 100)]
        if name == "previous":
            known = [one for one in known if one != known[0]]
        if not known:
            other = (
                "no rules were ever in force" if name == "in-force" else "there was no other yet"
            )
            fail(Exit.FAILED, f"there is no version {name}: {other}")
        return known[0]
    found = versions.beginning_with(connection, name)
    if len(found) > 1 and name not in found:
        fail(Exit.USAGE, f"{name} may be any of {', '.join(found)}")
    if not found:
        fail(
            Exit.FAILED,
            f"there is no version {name}: `dicom-router rules history` has them; "
            f"{', '.join(WORDS)} and folders will do, too",
        )
    return name if name in found else found[0]


def _of_folder(label: str, site: Site, folder: Path) -> Named:
    try:
        table = rules_of(site, folder=folder, fitting=False)
    except DocumentError as error:
        fail(Exit.USAGE, str(error))
    return Named(label=label, version=table.version, texts=table.texts, folder=folder)

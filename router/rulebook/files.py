"""A site's file and its rules, read as one whole, and how to notice that one of them changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from router.config import Site, load_site
from rules.loading import load_rules
from rules.routes import RouteTable

Signature: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Of every file: path, time of change, size, inode. A Kubernetes volume is swapped as a whole by a
symbolic link: what the paths lead to is another inode then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFiles:
    """What the files say: a site, and rules that fit it."""

    site: Site
    table: RouteTable


def read_files(path: Path, environ: Mapping[str, str] = os.environ) -> SiteFiles:
    """The site in this file and its rules; DocumentError with every mistake in either."""
    site = load_site(path, environ)
    return SiteFiles(site=site, table=rules_of(site))


def rules_of(
    site: Site,
    texts: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    fitting: bool = True,
) -> RouteTable:
    """The rules of a site's files; or these texts, with the tables that lie beside the files.
    `folder`: the files are there, and not where the site says.

    DocumentError. Not `fitting`: they may name destinations that the site does not have.
    """
    names = site.destination_names if fitting else None
    return load_rules(
        folder or site.rules,
        destinations=names,
        keys=site.keys,
        vault=site.vault is not None,
        texts=texts,
    )


def watched(path: Path, site: Site, *tables: RouteTable | None) -> list[Path]:
    """All files on which the site and its rules depend, as far as is known."""
    found = {path, *(file for table in tables if table is not None for file in table.files)}
    for folder in (site.rules, site.rules_shadow):
        try:
            entries = folder.iterdir() if folder is not None else ()
            found.update(entry for entry in entries if not entry.name.startswith("."))
        except OSError:
            pass  # the folder is gone: its files are missing in the signature, which says so
    return sorted(found)


def signature(paths: Iterable[Path]) -> Signature:
    """What can be seen of the files from outside; those that are missing are left out."""
    seen = []
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        seen.append((str(path), found.st_mtime_ns, found.st_size, found.st_ino))
    return tuple(seen)

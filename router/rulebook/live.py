"""Which settings of a site change while the router runs, and which need a restart."""

from __future__ import annotations

from router.config import Site

LIVE = (
    "sources",
    "destinations",
    "rules",
    "rules_shadow",
    "keys",
    "vault",
    "on_no_match",
    "loops",
    "retention",
)
"""All else is bound when the process starts: ports, the store, the ledger, the broker."""


def changed(first: Site, site: Site) -> Site:
    """The site as it is in force: what may change from `site`, the rest as at the start."""
    return first.model_copy(update={name: getattr(site, name) for name in LIVE})


def need_restart(first: Site, site: Site) -> list[str]:
    """The settings in which the file differs from what this process started with, and will."""
    names = [name for name in type(site).model_fields if name not in LIVE]
    found = [name for name in names if getattr(first, name) != getattr(site, name)]
    if "workers" not in found and site.egress_workers > first.egress_workers:
        found.append("workers")  # threads enough for the destinations of the start
    return found

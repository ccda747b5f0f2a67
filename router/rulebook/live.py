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
    return [name for name in names if getattr(first, name) != getattr(site, name)]


def lacks_threads(first: Site, site: Site) -> bool:
    """Whether this process has fewer threads than the destinations want that came since."""
    return first.workers == site.workers and site.slots > first.egress_workers

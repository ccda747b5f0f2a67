"""A route as it was written when it made a delivery: the answer to "why did it go there?"."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from router.ledger import versions
from rules.documents.reading import DocumentError, parse_document


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteThen:
    """The route's words: its file, its conditions and its edits, as they stood in the file."""

    name: str
    file: str
    when: str
    edits: tuple[str, ...]
    deidentify: str | None = None


def routes_then(
    connection: Connection, wanted: Iterable[tuple[str | None, str]]
) -> dict[tuple[str | None, str], RouteThen]:
    """The routes of these versions and names that the ledger still knows."""
    found: dict[tuple[str | None, str], RouteThen] = {}
    by_version: dict[str, set[str]] = {}
    for version, name in wanted:
        if version is not None:
            by_version.setdefault(version, set()).add(name)
    for version, names in by_version.items():
        rules = versions.get(connection, version)
        for route in _routes(rules.texts) if rules is not None else ():
            if route.name in names:
                found[version, route.name] = route
    return found


def _routes(texts: Mapping[str, str]) -> Iterable[RouteThen]:
    for file, text in texts.items():
        try:
            data = parse_document(text, file).data
        except DocumentError:  # written by another release, under other rules of writing
            continue
        routes = data.get("routes") if isinstance(data, dict) else None
        for route in routes if isinstance(routes, list) else ():
            if isinstance(route, dict) and isinstance(name := route.get("name"), str):
                edits, profile = route.get("edits"), route.get("deidentify")
                yield RouteThen(
                    name=name,
                    file=file,
                    when=_in_words(route.get("when")) or "it matches every object",
                    edits=tuple(map(_in_words, edits if isinstance(edits, list) else ())),
                    deidentify=profile if isinstance(profile, str) else None,
                )


def _in_words(value: object) -> str:
    """YAML's values on one line, close to how they were written."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_inner(item)}" for key, item in value.items())
    return "" if value is None else _inner(value)


def _inner(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{_in_words(value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inner, value))}]"
    return json.dumps(value, ensure_ascii=False) if _needs_quotes(value) else str(value)


def _needs_quotes(value: object) -> bool:
    return not isinstance(value, str) or value != value.strip() or not value or "," in value

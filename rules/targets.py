"""Compiles what stands under `send_to`: names checked, groups made ready to choose."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from rules.choosing import Choose, compile_target, destinations_in
from rules.documents.problems import Mistake, Step, suggest
from rules.schema import Route
from rules.send_to import FromTable, named
from rules.tables import Tables


@dataclass(slots=True)
class CompiledTargets:
    """The targets of one route: names, or what chooses one. `reaches`: every destination that
    may get something. `mistakes`: what is wrong, `at` its place below the route."""

    targets: list[str | Choose] = field(default_factory=list)
    reaches: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """The destinations that get it in any case, each once."""
        return tuple(dict.fromkeys(name for name in self.targets if isinstance(name, str)))

    @property
    def chooses(self) -> bool:
        """Whether there is a group."""
        return any(not isinstance(target, str) for target in self.targets)


def compile_targets(
    route: Route, tables: Tables, destinations: Collection[str] | None
) -> CompiledTargets:
    """The targets of a route; without `destinations` any name may be sent to."""
    made = CompiledTargets()
    for position, target in enumerate(route.send_to):
        at: tuple[Step, ...] = ("send_to", position)
        found = [((*at, *below), name, "") for below, name in named(target)]
        try:
            made.targets.append(compile_target(target, tables))
            if isinstance(target, FromTable):
                table = (*at, "from_table", "table")
                in_it = f"{target.source.table} names it, and "
                found += [(table, name, in_it) for name in destinations_in(target, tables)]
        except Mistake as mistake:
            where = (*at, *mistake.at)
            made.mistakes.append(Mistake(str(mistake), at=where, suggestion=mistake.suggestion))
        made.reaches += [name for _, name, _ in found]
        if destinations is not None:
            made.mistakes += _unknown(found, destinations)
    return made


def _unknown(
    found: list[tuple[tuple[Step, ...], str, str]], destinations: Collection[str]
) -> Iterator[Mistake]:
    for at, name, why in found:
        if name not in destinations:
            near = suggest(name, destinations)
            known = "" if near else f"; the site has {', '.join(sorted(destinations)) or 'none'}"
            yield Mistake(f"{why}there is no destination {name}{known}", at=at, suggestion=near)

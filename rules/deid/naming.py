"""The profiles of all files of rules by their names, for the routes that name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import ValidationError

from rules.deid.profile import Profile
from rules.documents.problems import Problem, suggest
from rules.documents.reading import Document

Sound: TypeAlias = Mapping[str, Profile]


@dataclass(slots=True)
class Profiles:
    """Gathered file by file. A profile with mistakes, which are told elsewhere, is known too."""

    _found: dict[str, Profile | None] = field(default_factory=dict)
    _places: dict[str, Problem] = field(default_factory=dict)

    def add(self, document: Document, sound: Sound, problems: list[Problem]) -> None:
        """The profiles of a file: those without mistakes, and the names of all."""
        data = document.data
        written = data.get("profiles") if isinstance(data, dict) else None
        for name in written if isinstance(written, dict) else ():
            place = document.problem(("profiles", name), "")
            if name in self._found:
                taken = self._places[name]
                message = f"the name is taken by a profile in {taken.file}:{taken.line}"
                problems.append(document.problem(("profiles", name), message))
                continue
            self._found[name] = sound.get(name)
            self._places[name] = place

    def named(
        self, document: Document, index: int, name: str | None, problems: list[Problem]
    ) -> Profile | None:
        """The profile that a route names."""
        if name is None or name in self._found:
            return self._found.get(name or "")
        known = ", ".join(self._found) or "none"
        message = f"there is no profile {name} (in the files: {known})"
        near = suggest(name, self._found)
        problems.append(document.problem(("routes", index, "deidentify"), message, near))
        return None


def sound_profiles(document: Document, context: Mapping[str, object]) -> dict[str, Profile]:
    """Of a file with mistakes, the profiles that have none."""
    data = document.data
    written = data.get("profiles") if isinstance(data, dict) else None
    sound: dict[str, Profile] = {}
    for name, value in written.items() if isinstance(written, dict) else ():
        try:
            sound[name] = Profile.model_validate(value, context=context)
        except ValidationError:
            continue  # its problems are reported already
    return sound

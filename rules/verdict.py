"""What was decided for one object: where it goes, after which edits, and why."""

from __future__ import annotations

from dataclasses import dataclass

from rules.choosing import Choice
from rules.deid.profile import Profile
from rules.editing.schema import Edit
from rules.flow_schema import WaitFor
from rules.schema import Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What one route sends. Dispatches with the same `edits_key` share one edited object; an
    empty key means the object as it came. `record`: note the edits in the object itself.
    `choices`: how groups came to their destinations. `between`: when these may be sent
    (`rules.windows`), at any time without it. `wait_for`: what is waited for before that.
    `deidentify` names the profile, which is carried out after the edits."""

    route: str
    destinations: tuple[str, ...]
    edits: tuple[Edit, ...]
    edits_key: str
    record: bool
    priority: Priority
    deidentify: str | None = None
    profile: Profile | None = None
    choices: tuple[Choice, ...] = ()
    between: str | None = None
    wait_for: WaitFor | None = None

    @property
    def failures(self) -> tuple[Choice, ...]:
        """The groups that found no destination: the object is held for them."""
        return tuple(choice for choice in self.choices if choice.chosen is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A condition that did not hold: what the rule wanted and what the object has."""

    key: str
    wanted: str
    found: str
    below: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One route on the way to the verdict. `skipped` says why it was not looked at."""

    route: str
    matched: bool
    failure: Failure | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`routes` names every route that matched, in order. The trail is there only when asked for
    (`explain`): it repeats values of the object and belongs on no log."""

    dispatches: tuple[Dispatch, ...]
    routes: tuple[str, ...]
    trail: tuple[Step, ...] = ()

    @property
    def unrouted(self) -> bool:
        """No route matched: the site's `on_no_match` decides."""
        return not self.routes

    @property
    def destinations(self) -> tuple[str, ...]:
        return tuple(name for dispatch in self.dispatches for name in dispatch.destinations)

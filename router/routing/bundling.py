"""Objects of routes that wait for a study or series: whether one joins a bundle, comes late, or
goes now that its bundle is closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from router.ledger import Identifiers, Join, Ledger, StoredObject, bundles
from router.ledger.bundles import DueMember, Gathered
from router.routing.headers import Header
from router.routing.making import Made, Scene
from rules.durations import in_words
from rules.facts import Facts, GroupFacts
from rules.flow_schema import WaitFor
from rules.routes import decide_alone, match
from rules.tags import AttributePath, parse_path
from rules.verdict import Dispatch, Verdict

_MODALITY = parse_path("Modality")
_DESCRIPTION = parse_path("SeriesDescription")

Send = Callable[[Dispatch], None]
"""Makes the deliveries of a route."""


class Bundling:
    """Decides for routes with `wait_for`. Reads the ledger; what it decides others record."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def arrive(
        self,
        stored: StoredObject,
        header: Header,
        known_as: Identifiers,
        scene: Scene,
        dispatch: Dispatch,
        made: Made,
        send: Send,
    ) -> None:
        """An object of such a route has come: it waits, or goes at once where it is late."""
        wait = dispatch.wait_for
        assert wait is not None
        uid = known_as.study_instance_uid
        if wait.level == "series":
            uid = known_as.series_instance_uid
        one = _join(dispatch.route, wait, uid or "", header)
        past = self._standing(one, scene) if uid else "closed"
        if past != "closed":
            self._wait(one, wait, made)
        elif uid and wait.late == "rebundle" and stored.generation == 0:
            self._wait(replace(one, again=True), wait, made)
        elif uid and wait.late == "hold" and stored.generation == 0:
            made.fail("late", f"{dispatch.route}: the {wait.level} was closed before it came")
        else:
            # Late, without a UID to wait with, or given back by a person: it goes by itself.
            if uid:
                made.joins.append(replace(one, late=True))
            counted = self._gathered(dispatch.route, known_as.study_instance_uid, scene)
            facts = _with_group(header.facts, counted, known_as.series_instance_uid, one)
            alone = decide_alone(scene.table, dispatch.route, facts, scene.down)
            if alone is not None:
                names = [name for name in alone.destinations if name in dispatch.destinations]
                send(replace(alone, destinations=tuple(names)))

    def depart(
        self,
        stored: StoredObject,
        facts: Facts,
        due: tuple[DueMember, ...],
        scene: Scene,
        made: Made,
        send: Send,
    ) -> None:
        """The object's bundles are closed: what their routes send now that all is there."""
        verdict = match(scene.table, facts, scene.down, arriving=True)
        for member in due:
            counted = self._gathered(member.route, stored.study_instance_uid, scene)
            known = _with_group(facts, counted, stored.series_instance_uid)
            try:
                dispatch = decide_alone(scene.table, member.route, known, scene.down)
            except KeyError:
                words = f"{member.route}: the rules have no such route any more"
                made.fail("route_gone", words)
                continue
            if dispatch is not None:
                send(_left_to(dispatch, verdict))
            else:
                made.choices.append(f"{member.route}: its conditions do not hold for the whole")

    def _wait(self, one: Join, wait: WaitFor, made: Made) -> None:
        made.joins.append(one)
        made.choices.append(f"{one.route}: waits for the {wait.level}, {in_words(wait.quiet)}")

    def _standing(self, one: Join, scene: Scene) -> str | None:
        if one.key not in scene.standing:
            with self._ledger.read() as connection:
                scene.standing[one.key] = bundles.standing(connection, one.key)
        return scene.standing[one.key]

    def _gathered(self, route: str, study_instance_uid: str | None, scene: Scene) -> Gathered:
        key = (route, study_instance_uid or "")
        if key not in scene.gathered:
            with self._ledger.read() as connection:
                scene.gathered[key] = bundles.gathered(connection, *key)
        return scene.gathered[key]


def _left_to(dispatch: Dispatch, verdict: Verdict) -> Dispatch:
    """Without the destinations that an earlier route of the list has taken, although its bundle may
    close later, or its edit has failed: they would get unedited what that route is to edit."""
    names = {
        n for one in verdict.dispatches if one.route == dispatch.route for n in one.destinations
    }
    return replace(dispatch, destinations=tuple(n for n in dispatch.destinations if n in names))


def _join(route: str, wait: WaitFor, uid: str, header: Header) -> Join:
    expected = wait.expect
    return Join(
        route=route,
        level=wait.level,
        uid=uid,
        quiet_ms=int(wait.quiet * 1000),
        longest_ms=int(wait.longest * 1000),
        expected_objects=None if expected is None else expected.objects,
        expected_series=() if expected is None else expected.series,
        modality=_first(header, _MODALITY),
        series_description=_first(header, _DESCRIPTION),
    )


def _first(header: Header, path: AttributePath) -> str | None:
    values = header.facts.attributes.values(path)
    return values[0] if values else None


def _with_group(
    facts: Facts, counted: Gathered, series_instance_uid: str | None, more: Join | None = None
) -> Facts:
    """Facts with those of the group; `more` is the object itself, if it is not counted yet."""
    series = counted.by_series.get(series_instance_uid or "", 0)
    itself = 0 if more is None else 1
    own = {more.modality} if more is not None and more.modality else set()
    group = GroupFacts(
        study_objects=sum(counted.by_series.values()) + itself,
        study_modalities=tuple(sorted({*counted.modalities, *own})),
        series_objects=series + itself,
    )
    return replace(facts, group=group)

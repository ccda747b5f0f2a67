"""From files to a route table, whole or not at all.

Everything that is wrong in any of the files comes in one DocumentError: structure, names of
attributes, values that do not fit, destinations that do not exist, names that are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from rules.conditions import Compiler
from rules.deid.naming import Profiles, sound_profiles
from rules.deid.profile import Profile
from rules.documents.problems import Mistake, one_of_each
from rules.documents.reading import Document, DocumentError, Problem, parse_document
from rules.documents.reading import load_document as load
from rules.editing.schema import edits_key
from rules.flow_schema import windows_of
from rules.matching.closures import Holds
from rules.matching.grouping import without_group_facts
from rules.matching.view import Slots
from rules.resources import Resources
from rules.routes import CompiledRoute, RouteTable
from rules.schema import Route, RuleFile
from rules.tables import Tables
from rules.targets import CompiledTargets, compile_targets
from rules.verdict import Dispatch

TEST_ENDINGS = (".test.yaml", ".test.yml")
ENDINGS = (".yaml", ".yml")


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder in name order: *.yaml, *.yml; no tests, no hidden files.
    DocumentError."""
    return [path for path in _yaml_files(folder) if not path.name.endswith(TEST_ENDINGS)]


def scenario_files(folder: Path) -> list[Path]:
    """The files with the users' tests: *.test.yaml."""
    return [path for path in _yaml_files(folder) if path.name.endswith(TEST_ENDINGS)]


def load_rules(
    folder: Path,
    *,
    destinations: Collection[str] | None,
    keys: Mapping[str, str] | None = None,
    vault: bool | None = None,
    texts: Mapping[str, str] | None = None,
) -> RouteTable:
    """The table of a folder. Without `destinations` any name may be sent to, and without `keys`
    (secrets by name) edits may name any key, and fail (to look at rules apart from their site).
    `vault`: whether the site has one, so that profiles may use it.
    DocumentError with all problems of all files.

    With `texts`, the rules are these (an earlier version, or one that another process put in
    force), and the folder has only what they refer to.
    """
    if texts is not None:
        return rules_of_texts(
            texts, destinations=destinations, keys=keys, vault=vault, folder=folder
        )
    if not folder.is_dir():
        message = "there is no such folder of rules"
        raise DocumentError([Problem(file=str(folder), line=1, column=1, key="", message=message)])
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in rule_files(folder):
        try:
            documents.append(load(path))
        except DocumentError as error:
            problems += error.problems
    return _table(documents, problems, destinations, Resources(Tables(folder), keys, vault))


def rules_of_texts(
    texts: Mapping[str, str],
    *,
    destinations: Collection[str] | None = None,
    keys: Mapping[str, str] | None = None,
    vault: bool | None = None,
    folder: Path | None = None,
) -> RouteTable:
    """The table of texts by file name, such as an earlier version in the ledger; the tables that
    they name are those in `folder` now."""
    documents = [parse_document(texts[name], name) for name in sorted(texts)]
    return _table(documents, [], destinations, Resources(Tables(folder), keys, vault))


def _table(
    documents: list[Document],
    problems: list[Problem],
    destinations: Collection[str] | None,
    resources: Resources,
) -> RouteTable:
    slots = Slots()
    compiled: list[CompiledRoute] = []
    profiles = Profiles()
    for document, routes in _read(documents, problems, resources, profiles):
        for index, route in routes:
            mistakes: list[Mistake] = []
            compiler = Compiler(
                slots, mistakes, resources.tables, in_group=route.wait_for is not None
            )
            sent = compile_targets(route, resources.tables, destinations)
            profile = profiles.named(document, index, route.deidentify, problems)
            one = _compile(document, index, route, compiler, sent, profile)
            _check_names(document, index, route, compiled, problems)
            for at, found in (("when",), mistakes), ((), sent.mistakes):
                place = ("routes", index, *at)
                problems += [document.problem((*place, *m.at), str(m), m.suggestion) for m in found]
            compiled.append(one)
    problems += resources.tables.problems
    if problems:
        raise DocumentError(one_of_each(problems))
    texts = {Path(document.file).name: document.text for document in documents}
    return RouteTable(
        routes=tuple(one for one in compiled if not one.route.disabled),
        all_routes=tuple(compiled),
        slots=slots,
        version=version_of({**texts, **resources.tables.digests}),
        texts=texts,
        files=(*(Path(document.file) for document in documents), *resources.tables.files),
    )


def version_of(texts: Mapping[str, str]) -> str:
    """12 hex digits that stand for these texts under these names."""
    digest = hashlib.sha256()
    for name in sorted(texts):
        for part in (name, texts[name]):
            data = part.encode()
            digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()[:12]


def _yaml_files(folder: Path) -> list[Path]:
    """DocumentError for a folder that cannot be read. A link that leads nowhere is among the files:
    rules that are silently not in force would be the worst of mistakes."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        message = f"the folder cannot be read: {error.strerror}"
        problem = Problem(file=str(folder), line=1, column=1, key="", message=message)
        raise DocumentError([problem]) from None
    return [
        path
        for path in entries
        if path.name.endswith(ENDINGS)
        and not path.name.startswith(".")
        and (path.is_file() or not path.exists())
    ]


def _read(
    documents: list[Document], problems: list[Problem], resources: Resources, profiles: Profiles
) -> list[tuple[Document, list[tuple[int, Route]]]]:
    """The routes of each file, and its profiles; where it has mistakes, those that have none."""
    context = {"resources": resources}
    read: list[tuple[Document, list[tuple[int, Route]]]] = []
    for document in documents:
        try:
            file = document.validate(RuleFile, context=context)
        except DocumentError as error:
            problems += error.problems
            profiles.add(document, sound_profiles(document, context), problems)
            read.append((document, _sound_routes(document, context)))
        else:
            profiles.add(document, file.profiles, problems)
            read.append((document, list(enumerate(file.routes))))
    return read


def _sound_routes(document: Document, context: Mapping[str, object]) -> list[tuple[int, Route]]:
    data = document.data
    written = data.get("routes") if isinstance(data, dict) else None
    sound: list[tuple[int, Route]] = []
    for index, value in enumerate(written if isinstance(written, list) else []):
        try:
            sound.append((index, Route.model_validate(value, context=context)))
        except ValidationError:
            continue  # its problems are reported already
    return sound


def _compile(
    document: Document,
    index: int,
    route: Route,
    compiler: Compiler,
    sent: CompiledTargets,
    profile: Profile | None,
) -> CompiledRoute:
    place = document.problem(("routes", index), "")
    checks = compiler.when(route.when)
    between = windows_of(route.between)
    return CompiledRoute(
        route=route,
        checks=checks,
        conditions=tuple(check.holds for check in checks),
        dispatch=Dispatch(
            route=route.name,
            destinations=sent.names,
            edits=route.edits,
            edits_key=_edits_key(route, profile),
            record=route.record,
            deidentify=route.deidentify,
            profile=profile,
            priority=route.priority,
            between=None if between is None else between.text,
            wait_for=route.wait_for,
        ),
        file=document.file,
        line=place.line,
        document=document,
        index=index,
        targets=tuple(sent.targets) if sent.chooses else (),
        reaches=tuple(dict.fromkeys(sent.reaches)),
        arrival=_arrival(route, compiler),
    )


def _edits_key(route: Route, profile: Profile | None) -> str:
    if profile is None:
        return edits_key(route.edits, record=route.record)
    return edits_key(route.edits, record=False, profile=profile.fingerprint)


def _arrival(route: Route, compiler: Compiler) -> tuple[Holds, ...] | None:
    """The conditions that are asked before a bundle is closed: those on no group fact."""
    if route.wait_for is None:
        return None
    quietly = replace(compiler, mistakes=[])  # its mistakes are told of the whole
    return tuple(check.holds for check in quietly.when(without_group_facts(route.when)))


def _check_names(
    document: Document,
    index: int,
    route: Route,
    earlier: list[CompiledRoute],
    problems: list[Problem],
) -> None:
    for other in earlier:
        if other.route.name == route.name:
            message = f"the name is taken by a route in {other.file}:{other.line}"
            problems.append(document.problem(("routes", index, "name"), message))

"""`dicom-router deid preview`: a page that shows a file before and after de-identification."""

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.deid.explaining import told_of
from router.cli.deid.options import FolderOption, ProfileOption, profile_named
from router.cli.options import ConfigOption, Exit, JsonOption, fail
from router.cli.render import say_json

if TYPE_CHECKING:
    from router.cli.deid.telling import Told
    from router.transcoding.plan import Plan
    from rules.deid.profile import Profile
    from rules.edits import Edited
    from rules.encoded.data_set import EncodedDataSet


def preview(
    file: Annotated[Path, typer.Argument(help="A DICOM file.")],
    profile: ProfileOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The page.", show_default="FILE.preview.html"),
    ] = None,
    folder: FolderOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write one page: each attribute before and after, by which row of the table, and the picture.

    The page needs no other file and no network. It shows values of the object: it is patient data,
    and nobody but its writer may read it. Exits with 1 for an object that the profile does not let
    pass, 2 if the file cannot be read or the page not be written.
    """
    chosen = profile_named(profile, folder, config)
    data_set, edited, told = told_of(file, chosen)
    target = output or file.with_name(f"{file.name}.preview.html")
    page = page_of(file.name, _manner(profile, chosen), told, _pictures(data_set, edited))
    try:
        target.touch(mode=0o600)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        fail(Exit.USAGE, f"{target}: {error.strerror}")
    deeds = dict(Counter(one.deed for one in told))
    if as_json:
        say_json({"page": str(target), "attributes": deeds})
    else:
        counted = ", ".join(f"{number} {deed}" for deed, number in sorted(deeds.items()))
        typer.echo(f"{target}: {counted}")


def _pictures(data_set: "EncodedDataSet", edited: "Edited") -> str:
    """The two pictures as HTML, or why there are none."""
    from router.cli.deid.pictures import pictures_of
    from router.transcoding.errors import CannotTranscode
    from router.transcoding.plan import plan_of

    plan = plan_of(edited.pixel_edits)
    try:
        pictures = pictures_of(data_set, plan.boxes(1), clear_unused=plan.clear_unused)
    except CannotTranscode as error:
        return f"<p>The picture cannot be shown: {escape(str(error))}.</p>"
    if pictures is None:
        return "<p>The object has no picture.</p>"
    said = "unchanged" if pictures[0] == pictures[1] else _said(plan)
    captions = ("Before", f"After: {said}")
    return '<div class="pictures">' + "".join(
        f'<figure><img alt="{caption}" src="data:image/png;base64,'
        f'{base64.b64encode(png).decode()}"><figcaption>{caption}</figcaption></figure>'
        for caption, png in zip(captions, pictures, strict=True)
    ) + "</div>"  # fmt: skip


def _said(plan: "Plan") -> str:
    done = ("with black rectangles",) if plan.black else ()
    return ", ".join((*done, *(("without overlays in its bits",) if plan.clear_unused else ())))


def _manner(name: str | None, profile: "Profile") -> str:
    """By what it was done, for whoever looks at the page alone."""
    from rules.deid.profile import TABLE

    by = f"Profile {name}: t" if name else "T"
    options = ", ".join(profile.options) or "none"
    more = [f"key {profile.key}", f"options: {options}"]
    if profile.keep:
        more.append(f"kept by name: {', '.join(map(str, profile.keep))}")
    if profile.edits:
        more.append(f"edits of its own: {len(profile.edits)}")
    return f"{by}he Basic Profile of {TABLE}, {'; '.join(more)}."


def page_of(name: str, manner: str, told: "Sequence[Told]", pictures: str) -> str:
    """The whole page."""
    counts = Counter(one.deed for one in told)
    boxes = "".join(
        f'<label><input type="checkbox" data-deed="{deed}"{"" if deed == "kept" else " checked"}>'
        f"{deed} <b>{number}</b></label>"
        for deed, number in sorted(counts.items())
    )
    rows = "".join(_row(one) for one in told)
    return _PAGE.format(
        name=escape(name),
        manner=escape(manner),
        style=_STYLE,
        boxes=boxes,
        rows=rows,
        pictures=pictures,
        script=_SCRIPT,
    )


def _row(one: "Told") -> str:
    from router.cli.deid.telling import tag_text

    depth = one.path.count("].")
    name = one.path.rpartition(".")[2] if depth else one.path
    where = one.path.rpartition(".")[0]
    above = f"<small>{escape(where)}</small>" if where else ""
    cells = (
        f'<td class="name">{above}{escape(name)}</td>',
        f'<td class="tag">{tag_text(one.tag)} {escape(one.vr)}</td>',
        f'<td><span class="deed">{one.deed}</span></td>',
        f'<td class="code">{escape(one.listed)}</td>',
        _value(one.before),
        _value(one.after),
        f'<td class="row">{escape(one.row)}</td>',
    )
    hidden = " hidden" if one.deed == "kept" else ""
    return f'<tr data-deed="{one.deed}"{hidden}>{"".join(cells)}</tr>\n'


def _value(text: str | None) -> str:
    if text is None:
        return '<td class="none">absent</td>'
    return f"<td>{escape(text)}</td>" if text else '<td class="none">empty</td>'


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0 }
.warn { border-left: .3rem solid #c60; background: var(--soft); padding: .5rem .8rem }
.pictures { display: flex; flex-wrap: wrap; gap: 1.5rem }
figure { margin: 1rem 0 } img { max-width: 26rem; background: #000; display: block }
.filter { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }
table { border-collapse: collapse; width: 100% }
th { text-align: left; white-space: nowrap; position: sticky; top: 0; background: Canvas }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; max-width: 24rem }
.tag, .code { font-family: ui-monospace, monospace; white-space: nowrap; font-size: 12px }
.name { max-width: 18rem } .name small { display: block; opacity: .65 }
.none, .row { opacity: .65 } .none { font-style: italic }
.deed { border-radius: 1rem; padding: .05rem .6rem; background: var(--soft); white-space: nowrap }
tr[data-deed=removed] .deed, tr[data-deed=emptied] .deed { background: #d334 }
tr[data-deed=replaced] .deed, tr[data-deed="new UID"] .deed { background: #36d4 }
tr[data-deed=cleaned] .deed { background: #d934 }
tr[data-deed=added] .deed { background: #3a34 }
"""
_SCRIPT = """
for (const box of document.querySelectorAll("input"))
  box.onchange = () => {
    for (const row of document.querySelectorAll("tbody tr"))
      if (row.dataset.deed === box.dataset.deed) row.hidden = !box.checked;
  };
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>De-identification of {name}</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body>
<h1>De-identification of {name}</h1>
<p>{manner}</p>
<p class="warn">This page shows the values of the original: it is patient data.</p>
{pictures}
<div class="filter">{boxes}</div>
<table><thead><tr><th>Attribute</th><th>Tag, VR</th><th>What</th><th>Code</th><th>Before</th>
<th>After</th><th>Row of table E.1-1</th></tr></thead><tbody>
{rows}</tbody></table><script>{script}</script></body></html>
"""

"""Values, schema, templates and README say the same."""

import json
from typing import Any

import pytest
import yaml

from scripts import chart_readme
from tests.deploy.chart import CHART, templates, value_paths

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
FREE = {"site", "podSecurityContext", "containerSecurityContext", "global"}
"""Kubernetes' own or the site's: what stands in them is theirs to check."""


def paths(block: dict[str, Any], path: str = "") -> set[str]:
    found = set()
    for key, value in block.items():
        found.add(f"{path}{key}")
        if isinstance(value, dict) and f"{path}{key}" not in FREE:
            found |= paths(value, f"{path}{key}.")
    return found


def declared(schema: dict[str, Any], path: str = "") -> set[str]:
    """The paths that the schema names, down to what it leaves open."""
    found = set()
    for key, below in schema.get("properties", {}).items():
        found.add(f"{path}{key}")
        if f"{path}{key}" not in FREE:
            found |= declared(below, f"{path}{key}.")
    return found


def test_the_readme_is_current():
    assert chart_readme.README.read_text(encoding="utf-8") == chart_readme.current()


def test_an_undocumented_value_is_an_error():
    text = "# -- Known.\na: 1\nb:\n  # -- Known too.\n  c: 2\n  d: 3\n"
    with pytest.raises(chart_readme.Undocumented, match=r"b\.d has no description"):
        chart_readme.table(text)


def test_the_schema_names_every_value_and_no_other():
    resources = {"requests", "limits", "claims"}  # by reference, and Kubernetes' own
    written = {p for p in paths(VALUES) if not resources & set(p.split("."))}
    open_ended = {"metrics.dashboards.labels.grafana_dashboard"}
    assert written - open_ended == declared(SCHEMA) - {"global"}


def test_the_schema_is_closed_wherever_it_is_ours():
    def check(schema: dict[str, Any], path: str) -> None:
        if schema.get("properties") and path not in FREE:
            assert schema.get("additionalProperties") is False, path
        for key, below in schema.get("properties", {}).items():
            if path not in FREE:
                check(below, f"{path}.{key}".lstrip("."))

    check(SCHEMA, "")


def test_templates_use_values_that_are_declared():
    known = paths(VALUES) | {"site.listeners", "site.sources", "site.destinations"}
    used = set().union(*(value_paths(text) for text in templates().values()))
    assert len(used) > 30
    assert used <= known


def test_what_a_template_reads_of_a_role_every_role_has():
    import re

    used = set(re.findall(r"\$of\.([A-Za-z.]+[A-Za-z])", "".join(templates().values())))
    roles = {
        "ingress": VALUES["ingress"],
        "conductor": VALUES["conductor"],
        "rules": VALUES["workers"]["rules"],
        "egress": VALUES["workers"]["egress"],
    }
    own = {"autoscaling.tickets": "rules", "autoscaling.destinations": "egress"}
    for path in used:
        holders = [own[path]] if path in own else list(roles)
        if path.startswith("autoscaling") and path not in own:
            holders = ["rules", "egress"]
        for role in holders:
            assert path in paths(roles[role]), f"{role}.{path}"


def test_every_value_is_used_by_a_template():
    text = "".join(templates().values())
    for path in paths(VALUES):
        first, _, rest = path.partition(".")
        last = path.rsplit(".", 1)[-1]
        if rest and first not in FREE and path != "metrics.dashboards.labels.grafana_dashboard":
            assert f".{last}" in text or last in ("requests", "limits", "cpu", "memory"), path

"""Alerts and dashboards: understood by Prometheus, proved to fire, on metrics that exist."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from router import metrics
from tests.deploy.chart import CHART, ROOT, render
from tests.programs import needed

ALERTS = CHART / "files" / "alerts.yaml"
TESTS = Path(__file__).parent / "alerts.test.yaml"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
LABELS = {"instance", "job", "role", "le"}  # Prometheus' own, and the role that the chart adds


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [needed("promtool"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def exported() -> dict[str, set[str]]:
    """Every series that the router exports, and its labels."""
    found: dict[str, set[str]] = {}
    for item in vars(metrics).values():
        if isinstance(item, Counter | Gauge | Histogram):
            (family,) = item.describe()
            ends = {"counter": ("_total",), "gauge": ("",)}.get(
                family.type, ("_bucket", "_sum", "_count")
            )
            found |= {f"{family.name}{end}": set(item._labelnames) for end in ends}
    return found


def check_metrics(expression: str) -> int:
    """How many of our series it uses; all exist, and have the labels that it asks for."""
    known = exported()
    used = re.findall(r"(dicom_router_\w+)(?:\{([^}]*)\})?", expression)
    for name, matchers in used:
        assert name in known, name
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert labels <= known[name] | LABELS, (name, labels)
    return len(used)


def test_prometheus_understands_the_alerts():
    answer = promtool("check", "rules", ALERTS)
    assert answer.returncode == 0, answer.stderr


def test_each_alert_fires_when_it_should_and_not_before():
    answer = promtool("test", "rules", TESTS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    cases = yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]
    proved = {
        rule["alertname"]
        for case in cases
        for rule in case["alert_rule_test"]
        if rule["exp_alerts"]
    }
    assert proved == {alert["alert"] for alert in alerts()}


def test_an_alert_that_does_not_fire_is_noticed(tmp_path: Path):
    text = ALERTS.read_text(encoding="utf-8").replace(
        "destination_up) == 0", "destination_up) == 7"
    )
    (tmp_path / "alerts.yaml").write_text(text, encoding="utf-8")
    case = TESTS.read_text(encoding="utf-8").replace("../../helm/files/", "")
    (tmp_path / "alerts.test.yaml").write_text(case, encoding="utf-8")
    assert promtool("test", "rules", tmp_path / "alerts.test.yaml").returncode == 1


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alerts_use_what_exists_and_say_what_to_do(alert: dict[str, Any]):
    assert check_metrics(alert["expr"]) or alert["alert"] == "RouterDown"
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert alert["annotations"]["summary"]
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert f"| `{alert['alert']}` |" in operations


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_use_what_exists(path: Path):
    board = json.loads(path.read_text(encoding="utf-8"))
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["description"]
        for target in panel["targets"]:
            assert check_metrics(target["expr"]) or "process_" in target["expr"]
    for variable in board["templating"]["list"]:
        check_metrics(str(variable["query"]))


def test_expressions_of_dashboards_are_understood(tmp_path: Path):
    rules = [
        {"record": f"r:{number}", "expr": re.sub(r"\$__rate_interval", "5m", target["expr"])}
        for path in DASHBOARDS
        for number, target in enumerate(
            target
            for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
            for target in panel.get("targets", ())
        )
    ]
    groups = {"groups": [{"name": "dashboards", "rules": rules}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    answer = promtool("check", "rules", "--lint=none", tmp_path / "rules.yaml")
    assert answer.returncode == 0, answer.stderr


def test_the_chart_hands_them_on_with_the_sites_changes(tmp_path: Path):
    site = render("full")
    spec = site.one("PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    assert promtool("check", "rules", tmp_path / "rules.yaml").returncode == 0
    given = {rule["alert"]: rule for rule in spec["groups"][0]["rules"]}
    assert set(given) == {alert["alert"] for alert in alerts()} - {"DeadTickets"}
    assert given["QueueOld"]["for"] == "30m"
    assert given["QueueOld"]["labels"] == {"severity": "warning", "team": "pacs"}
    untouched = next(alert for alert in alerts() if alert["alert"] == "DiskLow")
    assert given["DiskLow"] == untouched
    boards = site.one("ConfigMap", "-dashboards")["data"]
    for path in DASHBOARDS:
        assert json.loads(boards[path.name]) == json.loads(path.read_text(encoding="utf-8"))

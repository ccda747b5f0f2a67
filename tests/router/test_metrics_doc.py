"""docs/metrics.md has every metric, with its type and labels, and no other."""

import re
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from router import metrics

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"\| `(dicom_router_\w+)` \| (\w+) \|(.*?)\| (.+) \|")

Described = dict[str, tuple[str, list[str]]]


def exported() -> Described:
    found: Described = {}
    for item in vars(metrics).values():
        if isinstance(item, Counter | Gauge | Histogram):
            (family,) = item.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, list(item._labelnames))
    return found


def test_every_metric_is_documented_and_no_other():
    text = DOCUMENT.read_text(encoding="utf-8")
    written = {
        row[1]: (row[2], re.findall(r"`(\w+)`", row[3]))
        for line in text.splitlines()
        if (row := ROW.fullmatch(line))
    }
    assert written == exported()


def test_every_metric_is_counted_by_something():
    sources = Path(metrics.__file__).parents[1]
    code = "".join(
        path.read_text(encoding="utf-8")
        for package in ("router", "workers")
        for path in (sources / package).rglob("*.py")
    )
    names = [
        name
        for name, item in vars(metrics).items()
        if isinstance(item, Counter | Gauge | Histogram)
    ]
    assert [name for name in names if f"metrics.{name}" not in code] == []

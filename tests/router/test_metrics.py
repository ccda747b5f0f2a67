"""Metrics: their names and their labels."""

import pytest
from prometheus_client import Counter, Gauge, Histogram

from router import metrics

ALL = [item for item in vars(metrics).values() if isinstance(item, Counter | Gauge | Histogram)]
LABELS = {
    *("listener", "source", "destination"),  # names from the site's file
    *("outcome", "state", "queue", "task", "operation", "action", "finding"),  # words of the code
}


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.describe()[0].name)
def test_names_and_labels_follow_the_rules(metric: Counter | Gauge | Histogram):
    (family,) = metric.describe()
    assert family.name.startswith("dicom_router_")
    assert family.documentation.endswith(".")
    assert set(metric._labelnames) <= LABELS  # nothing unbounded, no patient, no stranger
    if isinstance(metric, Gauge):
        assert not family.name.endswith("_total")

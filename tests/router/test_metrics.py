"""Metrics: their names, their labels, and the endpoint."""

import urllib.request

import pytest
from prometheus_client import Counter, Gauge, Histogram

from router import metrics

ALL = [item for item in vars(metrics).values() if isinstance(item, Counter | Gauge | Histogram)]
LABELS = {"listener", "destination", "outcome", "state", "queue", "task"}


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.describe()[0].name)
def test_names_and_labels_follow_the_rules(metric: Counter | Gauge | Histogram):
    (family,) = metric.describe()
    assert family.name.startswith("dicom_router_")
    assert family.documentation.endswith(".")
    assert set(metric._labelnames) <= LABELS  # nothing unbounded, no patient, no stranger
    if isinstance(metric, Gauge):
        assert not family.name.endswith("_total")


def test_prometheus_is_answered():
    metrics.OBJECTS_RECEIVED.labels("main", "success").inc()
    endpoint = metrics.serve("127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        endpoint.close()
    assert 'dicom_router_objects_received_total{listener="main",outcome="success"} ' in text
    assert "process_resident_memory_bytes" in text


def test_a_port_that_is_taken_is_an_error():
    endpoint = metrics.serve("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            metrics.serve("127.0.0.1", endpoint.port)
    finally:
        endpoint.close()

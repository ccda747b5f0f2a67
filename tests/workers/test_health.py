"""The HTTP port of a process: metrics, liveness, readiness."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from router import metrics
from workers.health import Endpoint, serve


class Condition:
    """How the process does, as the test says."""

    def __init__(self) -> None:
        self.dead: list[str] = []
        self.unready: list[str] = []


@pytest.fixture
def condition() -> Condition:
    return Condition()


@pytest.fixture
def endpoint(condition: Condition) -> Iterator[Endpoint]:
    found = serve("127.0.0.1", 0, dead=lambda: condition.dead, unready=lambda: condition.unready)
    yield found
    found.close()


def ask(endpoint: Endpoint, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{endpoint.port}{path}", timeout=10) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def test_prometheus_is_answered(endpoint: Endpoint) -> None:
    metrics.OBJECTS_RECEIVED.labels("main", "success").inc()
    status, text = ask(endpoint, "/metrics")
    assert status == 200
    assert 'dicom_router_objects_received_total{listener="main",outcome="success"} ' in text
    assert "process_resident_memory_bytes" in text


def test_a_process_that_does_well_is_live_and_ready(endpoint: Endpoint) -> None:
    assert ask(endpoint, "/live") == ask(endpoint, "/ready") == (200, "ok\n")


def test_what_is_wrong_is_said(endpoint: Endpoint, condition: Condition) -> None:
    condition.unready = ["starting", "not connected to the broker"]
    assert ask(endpoint, "/live") == (200, "ok\n")
    assert ask(endpoint, "/ready") == (503, "starting\nnot connected to the broker\n")
    condition.dead = ["the worker has ended"]
    assert ask(endpoint, "/live") == (503, "the worker has ended\n")


def test_another_path_is_not_there(endpoint: Endpoint) -> None:
    status, text = ask(endpoint, "/")
    assert status == 404
    assert "/ready" in text


def test_a_port_that_is_taken_is_an_error(endpoint: Endpoint) -> None:
    with pytest.raises(OSError, match=f"port {endpoint.port} .* in use.*--metrics-port"):
        serve("127.0.0.1", endpoint.port, dead=list, unready=list)

"""The configuration that the chart and compose hand to the router is one that it takes."""

import os
from pathlib import Path
from typing import Any

import pytest

from router.broker.queues import routing_queues
from router.config import Site, load_site
from router.rulebook.files import rules_of
from router.rulebook.live import LIVE
from tests.deploy.chart import CHART, ROOT, Rendered, render

VALUES = (None, "minimal", "embedded", "folder-store", "full")


def mounted(folder: Path, data: dict[str, str]) -> None:
    """The files as kubelet lays out a ConfigMap: links into a folder that is replaced whole."""
    (folder / "..2026_01").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026_01")
    for name, text in data.items():
        (folder / "..2026_01" / name).write_text(text, encoding="utf-8")
        (folder / name).symlink_to(Path("..data") / name)


def loaded(site: Rendered, tmp_path: Path) -> Site:
    """The site of a pod, whose file system is `tmp_path`."""
    etc = loaded_from(tmp_path)
    for name in ("site", "rules"):
        mounted(etc / name, site.one("ConfigMap", f"-{name}")["data"] or {})
    (etc / "urls").mkdir()
    (etc / "urls/ledger").write_text("postgresql+psycopg://router:x@db/router\n")
    (etc / "urls/broker").write_text("amqps://router:x@mq/router\n")
    (etc / "secrets/router-tls").mkdir(parents=True)
    (etc / "secrets/router-tls/ca.pem").touch()
    path = etc / "site/site.yaml"
    text = path.read_text(encoding="utf-8").replace("/etc/dicom-router", str(etc))
    path.write_text(text, encoding="utf-8")
    return load_site(path, {})


@pytest.mark.parametrize("values", VALUES, ids=str)
def test_the_rendered_site_and_its_rules_are_sound(values: str | None, tmp_path: Path):
    rendered = render(values)
    site = loaded(rendered, tmp_path)
    table = rules_of(site)
    wanted = rendered.one("ConfigMap", "-rules")["data"] or {}
    assert set(table.texts) == {name for name in wanted if not name.endswith(".test.yaml")}
    cluster = bool(rendered.all("Deployment"))
    assert (site.broker == "memory://") is not cluster
    assert site.ledger.startswith("postgresql" if cluster else "sqlite")
    assert site.metrics is not None
    assert site.metrics.bind == "0.0.0.0"
    for pod in rendered.pods().values():
        for container in pod["spec"]["containers"]:
            ports = {p["name"]: p["containerPort"] for p in container.get("ports", ())}
            assert ports.get("http", site.metrics.port) == site.metrics.port
            assert {n for n in ports if n != "http"} in ({}.keys(), names_of(site))
    assert str(site.spool_path).startswith("/var/lib/dicom-router/")


def test_files_that_the_site_names_come_from_secrets(tmp_path: Path):
    rendered = render("full")
    ca = loaded(rendered, tmp_path).broker_tls.ca
    assert ca is not None
    assert ca == loaded_from(tmp_path) / "secrets/router-tls/ca.pem"
    for pod in rendered.pods().values():
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())):
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/etc/dicom-router/secrets/router-tls" in mounts


def loaded_from(tmp_path: Path) -> Path:
    return tmp_path / "etc/dicom-router"


def names_of(site: Site) -> set[str]:
    return {
        f"d-{one.name.lower().replace('.', '-').replace('_', '-')}"[:15].rstrip("-")
        for one in site.listeners
    }


def test_what_starts_no_new_pods_is_what_the_router_reloads():
    template = (CHART / "templates/_site.tpl").read_text(encoding="utf-8")
    (omitted,) = [line for line in template.splitlines() if "omit $site" in line]
    assert set(omitted.split('"')[1::2]) == set(LIVE)


def test_keda_looks_at_the_queues_that_there_are():
    site = render("full")
    triggers = site.one("ScaledObject", "-rules")["spec"]["triggers"]
    assert [each["metadata"]["queueName"] for each in triggers] == list(routing_queues())
    (trigger,) = site.one("ScaledObject", "-egress")["spec"]["triggers"]
    query = (CHART / "files/due-destinations.sql").read_text(encoding="utf-8")
    assert trigger["metadata"]["query"] == query.strip()


def test_the_site_of_compose_is_sound(tmp_path: Path):
    source = ROOT / "deploy/compose/site"
    secrets = {
        "ledger_url": "postgresql+psycopg://router:x@postgres/router",
        "broker_url": "amqp://router:x@rabbitmq/",
    }
    for name, text in secrets.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "rules").symlink_to(source / "rules")
    text = (source / "site.yaml").read_text(encoding="utf-8")
    path = tmp_path / "site.yaml"
    path.write_text(text.replace("/run/secrets", os.fspath(tmp_path)), encoding="utf-8")
    site = load_site(path, {})
    assert rules_of(site).routes
    assert (site.ledger, site.broker) == (secrets["ledger_url"], secrets["broker_url"])


def some(**changes: Any) -> dict[str, Any]:
    return {"name": "pacs", "dicom": {"ae_title": "PACS", "host": "pacs"}, **changes}


def test_a_mistake_in_the_site_is_left_to_the_check_before_the_upgrade(tmp_path: Path):
    site = render("minimal", site__destinations=[some(rety={})])
    with pytest.raises(Exception, match="rety"):
        loaded(site, tmp_path)

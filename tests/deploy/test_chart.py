"""The chart: what it renders is what Kubernetes takes, and as careful as the router needs it."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from router.config_codecs import Codecs
from tests.deploy.chart import CHART, ROOT, VALUES, Manifest, Rendered, helm, render
from tests.programs import missing, needed

SETS = (None, *(path.stem for path in sorted(VALUES.glob("*.yaml"))))
CLUSTERS = ("minimal", "folder-store", "full")
BROKEN = sorted((VALUES / "broken").glob("*.yaml"))
KUBERNETES = ("1.27", "1.37")
"""The oldest that Chart.yaml allows, and the newest whose schemas we have."""
MODELS = ROOT / ".peers" / "@kubernetes-models"
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}

rendered = cache(render)


@pytest.mark.parametrize("values", SETS, ids=str)
def test_lint_finds_nothing(values: str | None):
    words: list[str | Path] = ["lint", CHART, "--strict"]
    if values:
        words += ["--values", VALUES / f"{values}.yaml"]
    answer = helm(*words)
    assert answer.returncode == 0, answer.stdout
    assert "[WARNING]" not in answer.stdout


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", SETS, ids=str)
def test_kubernetes_takes_every_object(values: str | None, version: str):
    for manifest in rendered(values).manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def misfits(manifests: list[Manifest]) -> list[str]:
    """What KEDA's and the Prometheus operator's definitions have against these objects."""
    folders = [MODELS / name for name in ("keda", "prometheus-operator")]
    if not all(folder.exists() for folder in folders):
        raise missing("@kubernetes-models is not installed (scripts/install_peers.sh installs it)")
    script = Path(__file__).with_name("custom_kinds.mjs")
    given = json.dumps(manifests)
    answer = subprocess.run(
        [needed("node"), script, *folders], input=given, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()


def test_operators_take_the_objects_of_their_own_kinds():
    manifests = [each for each in rendered("full").manifests if each["kind"] in CUSTOM]
    assert {each["kind"] for each in manifests} == CUSTOM
    assert misfits(manifests) == []
    broken = json.loads(json.dumps(manifests))
    for manifest in broken:
        manifest["spec"] = [manifest["spec"]]
    assert len(misfits(broken)) == len(broken)


def test_a_field_that_kubernetes_does_not_know_is_noticed():
    manifest = rendered(None).one("ServiceAccount")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**manifest, "automount": False}, "1.27", strict=True)


@pytest.mark.parametrize("values", SETS, ids=str)
def test_no_name_is_given_twice(values: str | None):
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(values).manifests]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_broken_values_are_refused_in_clear_words(path: Path):
    wanted = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# expect: ")
    answer = helm("template", "hospital", CHART, "--values", path)
    assert answer.returncode != 0
    assert wanted in answer.stderr


def test_embedded_is_one_pod_and_the_cluster_one_workload_a_role():
    assert set(rendered("embedded").pods()) == {"hospital-dicom-router-router"}
    name = "hospital-dicom-router"
    roles = ("ingress", "rules", "egress", "conductor", "migration")
    assert set(rendered("minimal").pods()) == {f"{name}-{role}" for role in roles}


def test_each_role_runs_its_command():
    pods = rendered("minimal").pods()
    args = {
        name.split("-")[-1]: each["spec"]["containers"][0]["args"] for name, each in pods.items()
    }
    assert args == {
        "ingress": ["ingress"],
        "rules": ["worker", "rules"],
        "egress": ["worker", "egress"],
        "conductor": ["conductor"],
        "migration": ["db", "upgrade"],
    }
    (pod,) = rendered("embedded").pods().values()
    assert pod["spec"]["containers"][0]["args"] == ["run"]
    ingress = rendered("full").pods()["hospital-router-ingress"]
    assert ingress["spec"]["containers"][0]["args"] == ["ingress", "--processes", "4"]


def test_there_is_room_for_codec_processes():
    codecs = Codecs()
    needed_bytes = 2**30 + codecs.processes * codecs.memory
    found = {**rendered("minimal").pods(), **rendered("embedded").pods()}
    for name in ("rules", "egress", "router"):
        spec = found[f"hospital-dicom-router-{name}"]["spec"]
        limit = spec["containers"][0]["resources"]["limits"]["memory"]
        assert int(limit.removesuffix("Gi")) * 2**30 >= needed_bytes, name
        # What is too large for memory must not lie in memory, and has the node's disk for itself.
        (temporary,) = [each for each in spec["volumes"] if each["name"] == "tmp"]
        assert temporary["emptyDir"] == {}


def containers(site: Rendered) -> list[dict[str, Any]]:
    return [
        container
        for pod in site.pods().values()
        for container in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))
    ]


@pytest.mark.parametrize("values", SETS, ids=str)
def test_no_pod_may_more_than_it_must(values: str | None):
    site = rendered(values)
    for pod in site.pods().values():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(site):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])


@pytest.mark.parametrize("values", SETS, ids=str)
def test_what_is_mounted_is_there(values: str | None):
    site = rendered(values)
    for name, pod in site.pods().items():
        volumes = {each["name"] for each in pod["spec"]["volumes"]}
        for workload in site.all("StatefulSet", name):
            volumes |= {c["metadata"]["name"] for c in workload["spec"]["volumeClaimTemplates"]}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name


@pytest.mark.parametrize("values", SETS, ids=str)
def test_selectors_find_the_pods_of_their_role(values: str | None):
    site = rendered(values)
    labels = [pod["metadata"]["labels"].items() for pod in site.pods().values()]
    selectors = [each["spec"]["selector"] for each in site.all("Service")]
    for kind in ("PodDisruptionBudget", "Deployment", "StatefulSet"):
        selectors += [each["spec"]["selector"]["matchLabels"] for each in site.all(kind)]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in site.all("NetworkPolicy")]
    for selector in selectors:
        found = [each for each in labels if selector.items() <= each]
        assert len(found) == 1 or "app.kubernetes.io/component" not in selector


@pytest.mark.parametrize("values", CLUSTERS)
def test_every_role_answers_probes_and_survives_a_drained_node(values: str):
    site = rendered(values)
    for kind, roles in (("Deployment", 3), ("StatefulSet", 1)):
        assert len(site.all(kind)) == roles
        for workload in site.all(kind):
            role = workload["metadata"]["labels"]["app.kubernetes.io/component"]
            (container,) = workload["spec"]["template"]["spec"]["containers"]
            assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": "http"}
            assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}
            assert len(workload["spec"]["template"]["spec"]["topologySpreadConstraints"]) == 2
            site.one("PodDisruptionBudget", f"-{role}")


def test_the_senders_address_is_kept_and_the_spool_too():
    site = rendered("minimal")
    service = next(s for s in site.all("Service") if s["spec"].get("type") == "LoadBalancer")
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    receivers = site.one("StatefulSet")["spec"]
    assert receivers["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    (mount,) = [
        each
        for each in receivers["template"]["spec"]["containers"][0]["volumeMounts"]
        if each["name"] == "data"
    ]
    assert mount["mountPath"] == "/var/lib/dicom-router"


def test_whoever_delivers_reaches_all_that_the_site_tells_him_to_call():
    """Archives, where they answer queries, and modalities that take reports; nobody else does."""
    dicom = {"ae_title": "PACS", "host": "pacs.example.org", "port": 11113}
    asked = {"by": "query", "query": {"port": 4242}}
    heard = {"host": "ct01.example.org", "port": 11114}
    site = render(
        "minimal",
        site__destinations=[
            {"name": "pacs", "dicom": dicom, "commitment": asked},
            {"name": "old", "dicom": {"ae_title": "OLD", "host": "old.example.org"}},
        ],
        site__sources=[
            {"name": "ct01", "ae_title": "CT01", "commitment": heard},
            {"name": "ct02", "ae_title": "CT02", "commitment": {"policy": "all"}},
            {"name": "ct03", "ae_title": "CT03"},
        ],
        networkPolicy__modalities=["10.1.0.0/16"],
        networkPolicy__destinations=["10.2.0.0/16"],
    )
    reached = {
        role: [
            ([port["port"] for port in rule["ports"]], rule.get("to"))
            for rule in site.one("NetworkPolicy", f"-{role}")["spec"]["egress"][2:]
        ]
        for role in ("ingress", "rules", "egress", "conductor")
    }
    assert reached.pop("egress") == [
        ([104, 11113, 4242], [{"ipBlock": {"cidr": "10.2.0.0/16"}}]),
        ([11114], [{"ipBlock": {"cidr": "10.1.0.0/16"}}]),
    ]
    assert set(map(len, reached.values())) == {0}


@pytest.mark.parametrize(
    ("endpoint", "added"),
    [
        ("https://s3.example.org:9000", [9000]),
        ("http://s3.example.org", [80]),
        ("https://s3.example.org/", []),
    ],
)
def test_everybody_reaches_the_store_wherever_it_listens(endpoint: str, added: list[int]):
    site = render("minimal", site__s3={"endpoint": endpoint})
    usual = [5432, 5671, 5672, 443]
    for role in ("ingress", "rules", "egress", "conductor", "migration"):
        (_, backends, *_) = site.one("NetworkPolicy", f"-{role}")["spec"]["egress"]
        assert [one["port"] for one in backends["ports"]] == usual + added


def test_workers_that_scale_by_themselves_have_no_fixed_number():
    for values, kind in (("folder-store", "HorizontalPodAutoscaler"), ("full", "ScaledObject")):
        site = rendered(values)
        for role in ("rules", "egress"):
            assert "replicas" not in site.one("Deployment", f"-{role}")["spec"]
            target = site.one(kind, f"-{role}")["spec"]["scaleTargetRef"]["name"]
            site.one("Deployment", target)


def test_a_change_that_needs_new_pods_makes_them_and_no_other_does():
    def checksum(**more: Any) -> str:
        pod = render("minimal", **more).pods()["hospital-dicom-router-egress"]
        return str(pod["metadata"]["annotations"]["checksum/site"])

    before = checksum()
    reloaded = {
        "site__destinations": [{"name": "pacs", "dicom": {"ae_title": "P", "host": "pacs"}}],
        "rules__files": {"a.yaml": "routes: []"},
    }
    assert checksum(**reloaded) == before
    assert checksum(site__free_space={"low": "5GB", "high": "6GB"}) != before


def test_the_migration_runs_before_all_else_with_the_next_configuration():
    site = rendered("minimal")
    job = site.one("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (check,) = job["spec"]["template"]["spec"]["initContainers"]
    assert check["args"] == ["config", "check"]
    volumes = {each["name"]: each for each in job["spec"]["template"]["spec"]["volumes"]}
    for volume in ("site", "rules"):
        config = site.one("ConfigMap", volumes[volume]["configMap"]["name"])
        assert config["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
        weights = [int(e["metadata"]["annotations"]["helm.sh/hook-weight"]) for e in (config, job)]
        assert weights[0] < weights[1]

"""Dockerfile, wheel and compose.yaml: as far as they can be proved without an engine."""

import configparser
import json
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from tests.deploy.chart import ROOT
from tests.programs import needed

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
ROLES = ("ingress", "rules", "egress", "conductor")


def test_hadolint_finds_nothing():
    program = Path(sys.executable).with_name("hadolint")
    answer = subprocess.run([program, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


def test_the_image_runs_as_nobody_and_starts_the_command_itself():
    last = DOCKERFILE.split("FROM ")[-1]
    assert "USER 10001:10001" in last
    assert 'ENTRYPOINT ["dicom-router"]' in last
    assert "COPY --from=build" in last
    assert "pip install" not in last


def test_what_the_image_needs_is_in_its_context_and_nothing_private():
    taken = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = {
        word.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    }
    assert copied == taken
    assert all((ROOT / name).exists() for name in copied)


def test_every_extra_that_running_needs_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = set(project["optional-dependencies"]) - {"bench", "dev", "fuzz"}
    wanted = known - {"ocr"}  # large, and asked for by who searches pictures
    assert "${wheel}[${EXTRAS}]" in DOCKERFILE
    (installed,) = re.findall(r"^ARG EXTRAS=([\w,-]+)$", DOCKERFILE, re.MULTILINE)
    (suggested,) = re.findall(r"--build-arg EXTRAS=([\w,-]+)", DOCKERFILE)
    assert set(suggested.split(",")) == known
    assert set(installed.split(",")) == wanted
    (python,) = set(re.findall(r"FROM python:(\d+\.\d+)", DOCKERFILE))
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def test_the_wheel_runs_away_from_the_repository(tmp_path: Path):
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    entries = configparser.ConfigParser()
    entries.read(next((tmp_path / "site").glob("*.dist-info/entry_points.txt")))
    module, _, function = entries["console_scripts"]["dicom-router"].partition(":")
    (tmp_path / "site.yaml").write_text(
        "listeners: [{name: main, ae_title: R}]\nledger: sqlite:///ledger.db\n", encoding="utf-8"
    )
    program = f"import router, {module} as m; print(router.__file__); m.{function}()"
    for words in (["--help"], ["worker", "egress", "--help"], ["db", "upgrade"], ["db", "check"]):
        answer = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        assert str(tmp_path) in answer.stdout.splitlines()[0]
    assert (tmp_path / "ledger.db").exists()


def test_compose_is_what_the_specification_allows():
    options = compose_spec.PyOptions(apply_merge=True)
    composed = options.from_yaml(COMPOSE)
    composed.validate()
    assert set(composed.service_names()) >= set(ROLES)


def test_a_mistake_in_compose_is_noticed():
    options = compose_spec.PyOptions(apply_merge=True)
    with pytest.raises(ValueError, match="secret"):
        options.from_yaml(COMPOSE.replace("  broker_url: {file", "  brokr_url: {file")).validate()


def test_compose_runs_each_role_with_as_little_as_it_needs():
    for role in (*ROLES, "migrate"):
        service = SERVICES[role]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "10001:10001"
    commands = {role: SERVICES[role]["command"] for role in (*ROLES, "migrate")}
    assert commands == {
        "ingress": ["ingress"],
        "rules": ["worker", "rules"],
        "egress": ["worker", "egress"],
        "conductor": ["conductor"],
        "migrate": ["db", "upgrade"],
    }
    for name, service in SERVICES.items():
        assert "healthcheck" in service or name in (*ROLES, "migrate")  # theirs is the image's


def test_files_that_compose_mounts_are_there():
    for service in SERVICES.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), source


def test_secrets_are_made_once_for_their_owner_alone(tmp_path: Path):
    script = tmp_path / "make_secrets.sh"
    script.write_bytes((ROOT / "deploy/compose/make_secrets.sh").read_bytes())
    read = []
    for _ in range(2):
        subprocess.run(["bash", script], check=True, capture_output=True)
        read.append({p.name: p.read_text() for p in (tmp_path / "secrets").iterdir()})
    assert read[0] == read[1]
    declared = yaml.safe_load(COMPOSE)["secrets"]
    assert {Path(each["file"]).name for each in declared.values()} == set(read[0])
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    password = read[0]["postgres_password"].strip()
    assert len(password) == 48
    assert f":{password}@postgres/router" in read[0]["ledger_url"]
    (given,) = re.findall("default_pass = (.+)", read[0]["rabbitmq_conf"])
    assert f":{given}@rabbitmq/" in read[0]["broker_url"]


def test_prometheus_takes_its_configuration(tmp_path: Path):
    config = ROOT / "deploy/compose/prometheus.yml"
    (tmp_path / "prometheus.yml").write_bytes(config.read_bytes())
    (tmp_path / "alerts.yaml").write_bytes((ROOT / "helm/files/alerts.yaml").read_bytes())
    command = [needed("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_grafana_finds_its_dashboards():
    folder = ROOT / "deploy/compose/grafana"
    (provider,) = yaml.safe_load((folder / "dashboards.yaml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in SERVICES["grafana"]["volumes"])
    boards = list((ROOT / mounts[provider["options"]["path"]]).glob("*.json"))
    assert {json.loads(board.read_text())["title"] for board in boards} == {
        "DICOM router: overview",
        "DICOM router: destination",
    }

"""The chart as real Helm renders it."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.programs import missing

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
VALUES = Path(__file__).parent / "values"
HELM = ROOT / ".peers" / "helm" / "helm"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What Helm would hand to Kubernetes."""

    manifests: list[Manifest]

    def one(self, kind: str, name: str = "") -> Manifest:
        """The only object of a kind whose name ends so."""
        (found,) = self.all(kind, name)
        return found

    def all(self, kind: str, name: str = "") -> list[Manifest]:
        return [
            each
            for each in self.manifests
            if each["kind"] == kind and each["metadata"]["name"].endswith(name)
        ]

    def pods(self) -> dict[str, Manifest]:
        """The pod of each workload, by the workload's name."""
        kinds = ("Deployment", "StatefulSet", "Job")
        return {
            each["metadata"]["name"]: each["spec"]["template"]
            for kind in kinds
            for each in self.all(kind)
        }


def helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    if not HELM.exists():
        raise missing("Helm is not installed (scripts/install_peers.sh installs it)")
    command = [str(HELM), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def render(values: str | None, **more: Any) -> Rendered:
    """The chart with one of our files of values (None: its defaults), and further values."""
    words: list[str | Path] = ["template", "hospital", CHART, "--namespace", "dicom"]
    if values is not None:
        words += ["--values", VALUES / f"{values}.yaml"]
    for key, value in more.items():
        words += ["--set-json", f"{key.replace('__', '.')}={json.dumps(value)}"]
    answer = helm(*words)
    assert answer.returncode == 0, answer.stderr
    documents = yaml.safe_load_all(answer.stdout)
    return Rendered([document for document in documents if document])


def templates() -> dict[str, str]:
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted((CHART / "templates").iterdir())
    }


def value_paths(text: str) -> set[str]:
    """Every `.Values.a.b` that a template names."""
    return set(re.findall(r"\.Values\.([A-Za-z][A-Za-z0-9.]*[A-Za-z0-9])", text))

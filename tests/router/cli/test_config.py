"""`dicom-router config`: checking a site, and its schema."""

import json
from pathlib import Path
from typing import Any

import pytest


def test_a_sound_site_is_good(call: Any, site_file: Path):
    said = call("config", "check", "-c", site_file)
    assert said.code == 0
    assert said.out == f"{site_file}: good. Listens as ROUTER:11112; sends to pacs, ai, quiet.\n"
    assert said.err == (
        f"{site_file}: note: no `sources` are listed: anyone who reaches a listener may send\n"
    )


def test_the_same_as_json(call: Any, site_file: Path):
    told = call("config", "check", "-c", site_file, "--json").json
    assert told["ok"] is True
    assert told["problems"] == []
    assert len(told["warnings"]) == 1


def test_a_mistake_in_the_site(call: Any, site_file: Path):
    site_file.write_text("listeners: [{name: a, ae_tilte: A}]", encoding="utf-8")
    said = call("config", "check", "-c", site_file)
    assert said.code == 2
    expected = f"{site_file}:1:23: listeners[0].ae_tilte: unknown key (did you mean ae_title?)"
    assert expected in said.err.splitlines()
    assert said.err.endswith("2 mistakes\n")
    problems = call("config", "check", "-c", site_file, "--json").json["problems"]
    assert {"line": 1, "column": 23, "key": "listeners[0].ae_tilte"}.items() <= problems[1].items()


def test_a_mistake_in_a_rule(call: Any, site_file: Path):
    routes = site_file.parent / "rules" / "10-routes.yaml"
    routes.write_text("routes:\n  - {name: a, send_to: [pasc]}", encoding="utf-8")
    said = call("config", "check", "-c", site_file)
    assert said.code == 2
    assert f"{routes}:2:" in said.err
    assert "(did you mean pacs?)" in said.err


def test_a_mistake_in_a_shadow(call: Any, site_file: Path):
    folder = site_file.parent / "next"
    folder.mkdir()
    site_file.write_text(site_file.read_text() + "rules_shadow: next\n", encoding="utf-8")
    assert call("config", "check", "-c", site_file).code == 0
    (folder / "10.yaml").write_text("routes: [{name: a, send_to: pasc}]", encoding="utf-8")
    said = call("config", "check", "-c", site_file)
    assert said.code == 2
    assert f"{folder / '10.yaml'}:1:" in said.err


def test_a_certificate_that_is_none(call: Any, site_file: Path):
    """As the start would find, which is too late."""
    (site_file.parent / "a.pem").write_text("-----BEGIN RUBBISH-----\n", encoding="utf-8")
    tls = "{cert: a.pem, key: a.pem}"
    listeners = f"listeners: [{{name: main, ae_title: ROUTER, tls: {tls}}}]\n"
    site_file.write_text(
        f"{listeners}destinations: [{{name: pacs, dicom: {{ae_title: P, host: p, tls: {tls}}}}}]\n"
        f"sources: [{{name: ct, ae_title: CT, commitment: {{host: ct, tls: {tls}}}}}]\n"
        f"broker: amqps://mq/router\nbroker_tls: {tls}\n",
        encoding="utf-8",
    )
    said = call("config", "check", "-c", site_file)
    assert said.code == 2
    assert f"{site_file}:1:" in said.err
    assert "listeners[0].tls: certificate and key in " in said.err
    assert "destinations[0].dicom.tls: certificate and key in " in said.err
    assert "sources[0].commitment.tls: certificate and key in " in said.err
    assert "broker_tls: certificate and key in " in said.err
    assert "not PEM" in said.err


def test_a_folder_of_rules_that_cannot_be_read(call: Any, site_file: Path):
    """A loop of links is no folder even for root."""
    rules = site_file.parent / "rules"
    for path in rules.iterdir():
        path.unlink()
    rules.rmdir()
    rules.symlink_to(rules)
    said = call("config", "check", "-c", site_file)
    assert said.code == 2
    assert f"{rules}:1:1: " in said.err


def test_a_rule_file_that_is_a_link_to_nowhere(call: Any, site_file: Path):
    lost = site_file.parent / "rules" / "20-lost.yaml"
    lost.symlink_to(site_file.parent / "gone.yaml")
    said = call("config", "check", "-c", site_file)
    assert said.code == 2
    assert f"{lost}:1:1: the file cannot be read: No such file" in said.err


def test_a_site_is_found_in_the_folder(call: Any, site_file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(site_file.parent)
    assert call("config", "check").code == 0


def test_a_site_is_found_by_the_environment(
    call: Any, site_file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DICOM_ROUTER_CONFIG", str(site_file))
    assert call("config", "check").code == 0


def test_no_site_is_a_usage_error(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    said = call("config", "check")
    assert said.code == 2
    assert "name its file with --config or DICOM_ROUTER_CONFIG" in said.err


def test_the_schema_describes_every_key(call: Any):
    schema = call("config", "schema").json
    assert schema["additionalProperties"] is False
    assert "listeners" in schema["required"]
    for name, model in {"Site": schema, **schema["$defs"]}.items():
        for key, field in model["properties"].items():
            assert "description" in field, f"{name}.{key}"


def test_the_schema_takes_what_the_site_takes(call: Any):
    described = call("config", "schema").json["properties"]
    assert described["store"]["type"] == "string"
    assert {"enum": ["off", False]} in described["metrics"]["anyOf"]
    assert described["retention"]["$ref"] == "#/$defs/Retention"


def test_the_schema_can_be_written_to_a_file(call: Any, tmp_path: Path):
    assert call("config", "schema", "-o", tmp_path / "site.json").code == 0
    assert json.loads((tmp_path / "site.json").read_text(encoding="utf-8"))["title"]
    assert call("config", "schema", "-o", tmp_path / "no" / "site.json").code == 1

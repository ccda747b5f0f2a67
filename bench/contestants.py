"""Who is measured: this router, and the peers that its users would otherwise take."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.processes import Measured, free_port

PDU = 131072
NODELAY = {"TCP_NODELAY": "1"}
"""Makes DCMTK and programs built on it switch Nagle's algorithm off."""


@dataclass
class Running:
    """A contestant that listens."""

    process: Measured
    port: int
    called: str


Start = Callable[[Path, int | None], Running]
"""Start in a folder, forwarding to a port if one is given."""


def _python(*words: object) -> list[object]:
    return [sys.executable, *words]


def router(durability: str, routes: list[dict[str, object]] | None = None) -> Start:
    """This router; without a port to forward to it discards what it has received and recorded."""

    def start(folder: Path, forward: int | None) -> Running:
        port = free_port()
        site: dict[str, object] = {
            "listeners": [{"name": "main", "ae_title": "ROUTER", "port": port}],
            "durability": durability,
            "on_no_match": "discard",
            "metrics": "off",
            "log": {"level": "warning"},
            "retention": {"delivered": "1d"},
            "free_space": {"low": "1GB", "high": "1GB"},
        }
        if forward is not None:
            where = {"ae_title": "SINK", "host": "127.0.0.1", "port": forward, "associations": 4}
            site["destinations"] = [{"name": "sink", "dicom": where}]
        (folder / "rules").mkdir()
        (folder / "rules" / "10.yaml").write_text(yaml.safe_dump({"routes": routes or []}))
        (folder / "site.yaml").write_text(yaml.safe_dump(site))
        process = Measured(
            _python("-m", "workers", "run", "--config", folder / "site.yaml"),
            Path.cwd(),
            name=str(folder / "router"),
        )
        process.wait_for_port(port)
        return Running(process, port, "ROUTER")

    return start


def storescp(*options: str, environ: dict[str, str] | None = None) -> Start:
    """DCMTK's storescp, which never flushes to disk."""

    def start(folder: Path, _: int | None) -> Running:
        port = free_port()
        out = folder / "received"
        out.mkdir()
        command = ["storescp", "--output-directory", out, "--max-pdu", PDU, *options, port]
        process = Measured(command, folder, environ=environ, name="storescp")
        process.wait_for_port(port)
        return Running(process, port, "STORESCP")

    return start


def pynetdicom() -> Start:
    """pynetdicom writing the encoded bytes to a file, at its best PDU length."""

    def start(folder: Path, _: int | None) -> Running:
        port = free_port()
        process = Measured(
            _python("-m", "bench.pynetdicom_receiver", port, folder),
            Path.cwd(),
            name=str(folder / "pynetdicom"),
        )
        process.wait_for_port(port)
        return Running(process, port, "PYNETDICOM")

    return start


def pynetdicom_application() -> Start:
    """The storescp that pynetdicom ships: what most people who say pynetdicom run."""

    def start(folder: Path, _: int | None) -> Running:
        port = free_port()
        out = folder / "received"
        out.mkdir()
        command = _python("-m", "pynetdicom", "storescp", port, "-od", out, "-q")
        process = Measured(command, folder, name="pynetdicom")
        process.wait_for_port(port)
        return Running(process, port, "STORESCP")

    return start


def orthanc(*, sync: bool, environ: dict[str, str] | None = None) -> Start:
    """Orthanc; with a port to forward to, by Lua's SendToModality as its book shows it."""

    def start(folder: Path, forward: int | None) -> Running:
        port = free_port()
        settings: dict[str, object] = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "DicomAet": "ORTHANC",
            "DicomPort": port,
            "HttpPort": free_port(),
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "SyncStorageArea": sync,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "LuaScripts": [],
            "OverwriteInstances": True,
        }
        if forward is not None:
            script = folder / "route.lua"
            script.write_text(
                "function OnStoredInstance(instanceId, tags, metadata)\n"
                "  SendToModality(instanceId, 'sink')\nend\n"
            )
            settings["LuaScripts"] = [str(script)]
            settings["DicomModalities"] = {"sink": ["SINK", "127.0.0.1", forward]}
        (folder / "storage").mkdir()
        (folder / "orthanc.json").write_text(json.dumps(settings))
        program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin") or "Orthanc"
        process = Measured(
            [program, folder / "orthanc.json"], folder, environ=environ, name="orthanc"
        )
        process.wait_for_port(port)
        return Running(process, port, "ORTHANC")

    return start


def storescp_forwarding() -> Start:
    """storescp that calls storescu for each object: what a shell script's router does."""

    def start(folder: Path, forward: int | None) -> Running:
        action = f"storescu 127.0.0.1 {forward} #p/#f"
        return storescp("--exec-on-reception", action, environ=NODELAY)(folder, None)

    return start


def null_receiver(folder: Path, max_pdu: int = 1 << 20) -> Running:
    """A receiver that only counts."""
    port = free_port()
    process = Measured(
        _python("-m", "bench.null_receiver", port, max_pdu),
        Path.cwd(),
        name=str(folder / "null_receiver"),
    )
    process.wait_for_port(port)
    return Running(process, port, "NULL")

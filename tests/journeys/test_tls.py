"""TLS from a modality to the archives, as processes of different makers: who is let in and where to
the router speaks; what is refused is said, and waits."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pydicom
import pytest
import yaml
from pydicom.data import get_testdata_file

from tests.certificates import Certificates, make_certificates
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.programs import Program, free_port, needed, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.interop]

DICOM_ROUTER = Path(sys.executable).with_name("dicom-router")
NAMES = ("both", "newest", "older", "stranger")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def image() -> Path:
    return Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture(scope="module")
def no_newer_than_1_2(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which OpenSSL, and with it DCMTK, speaks TLS 1.2 at most."""
    path = tmp_path_factory.mktemp("openssl") / "openssl.cnf"
    path.write_text(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n"
        "[limits]\nMaxProtocol = TLSv1.2\n"
    )
    return {"OPENSSL_CONF": str(path)}


class Site:
    """A router with secure listeners, and archives that it knows over TLS alone."""

    def __init__(self, folder: Path, certificates: Certificates, old: Mapping[str, str]) -> None:
        self.folder = folder
        self.ports = {name: free_port() for name in (*NAMES, "require", "newest-only", "none")}
        self._certificates = certificates
        self._old = old
        router = self._tls(certificates.ca)
        destinations = [
            self._destination("both", router),
            self._destination("newest", {**router, "min_version": "1.3"}),
            self._destination("older", router),
            self._destination("stranger", self._tls(certificates.other_ca)),
        ]
        self.router = RouterUnderTest(
            folder / "router",
            listeners=[
                self._listener("require"),
                self._listener("newest-only", min_version="1.3"),
                self._listener("none", client="none"),
            ],
            destinations=destinations,
            routes=[{"name": "all", "send_to": list(NAMES)}],
        )

    def _tls(self, ca: Path) -> dict[str, object]:
        ours = self._certificates
        return {"ca": str(ca), "cert": str(ours.client), "key": str(ours.client_key)}

    def _destination(self, name: str, tls: Mapping[str, object]) -> dict[str, object]:
        return dicom(name, self.ports[name], tls=dict(tls))

    def _listener(self, name: str, **tls: str) -> dict[str, object]:
        ours = self._certificates
        files = {"cert": ours.server, "key": ours.server_key, "ca": ours.ca}
        settings = {key: str(path) for key, path in files.items()} | {"client": "require"} | tls
        return {
            "name": name,
            "ae_title": "ROUTER",
            "port": self.ports[name],
            "tls": settings,
        }

    def archives(self) -> Iterator[Program]:
        """DCMTK's storescp, which wants a certificate; `older` is limited to TLS 1.2."""
        ours = self._certificates
        for name in NAMES:
            kept = self.kept(name)
            kept.mkdir()
            tls: list[str | Path] = ["+tls", ours.server_key, ours.server, "+cf", ours.ca, "-rc"]
            place: list[str | Path] = ["-od", kept, str(self.ports[name])]
            command = [needed("storescp"), "--fork", *tls, *place]
            environ = self._old if name == "older" else None
            program = Program(command, self.folder / f"{name}.log", environ)
            yield program
            program.wait_for_port(self.ports[name])

    def kept(self, name: str) -> Path:
        return self.folder / name

    def state(self, name: str) -> tuple[object, ...]:
        sql = "SELECT state, reason FROM destinations WHERE name = ?"
        (row,) = self.router.ask(sql, name)
        return row

    def change(self, name: str, **tls: str) -> None:
        """Give a destination other TLS settings; for the next start."""
        path = self.router.folder / "site.yaml"
        site = yaml.safe_load(path.read_text())
        (found,) = (item for item in site["destinations"] if item["name"] == name)
        found["dicom"]["tls"].update(tls)
        path.write_text(yaml.safe_dump(site))


@pytest.fixture
def site(
    tmp_path: Path, certificates: Certificates, no_newer_than_1_2: dict[str, str]
) -> Iterator[Site]:
    made = Site(tmp_path, certificates, no_newer_than_1_2)
    with ExitStack() as stack:
        for archive in made.archives():
            stack.callback(archive.stop)
        with made.router:
            yield made


@pytest.fixture
def storescu(certificates: Certificates, image: Path):
    """Send the image to a port as a modality would; whether it was stored."""
    shown = {
        "ours": ("+tls", certificates.client_key, certificates.client),
        "another's": ("+tls", certificates.other_ca.with_suffix(".key"), certificates.other_ca),
        "none": ("+tla",),
    }

    def send(port: int, certificate: str, environ: Mapping[str, str] | None = None) -> bool:
        words = [*shown[certificate], "+cf", certificates.ca, "-aec", "ROUTER", "127.0.0.1"]
        done = subprocess.run(
            [needed("storescu"), *map(str, words), str(port), image],
            capture_output=True,
            timeout=60,
            env=environ,
        )
        return done.returncode == 0

    return send


def received(site: Site) -> int:
    return site.router.count("SELECT count(*) FROM objects")


def test_who_shows_no_certificate_of_ours_is_not_let_in(site: Site, storescu, no_newer_than_1_2):
    for environ in (None, no_newer_than_1_2):
        for certificate in ("none", "another's"):
            assert not storescu(site.ports["require"], certificate, environ)
        assert storescu(site.ports["require"], "ours", environ)
        assert storescu(site.ports["none"], "none", environ)
    wait_until(lambda: received(site) == 4, "intake")
    subjects = site.router.ask("SELECT listener, tls_subject FROM objects")
    assert set(subjects) == {("require", "CN=ct01,O=Hospital"), ("none", None)}


def test_a_listener_for_tls_1_3_takes_no_less(site: Site, storescu, no_newer_than_1_2):
    port = site.ports["newest-only"]
    assert not storescu(port, "ours", no_newer_than_1_2)
    assert storescu(port, "ours")
    wait_until(lambda: received(site) == 1, "intake")


def delivered(site: Site, image: Path, *names: str) -> bool:
    """Whether these archives have the image, with the pixels that were sent."""
    for name in names:
        files = [path for path in site.kept(name).iterdir() if path.is_file()]
        if len(files) != 1:
            return False
    wanted = pydicom.dcmread(image).PixelData
    return all(
        pydicom.dcmread(path).PixelData == wanted
        for name in names
        for path in site.kept(name).iterdir()
    )


def owed(site: Site, name: str) -> list[tuple[object, ...]]:
    sql = "SELECT state, attempts FROM deliveries WHERE destination = ?"
    return site.router.ask(sql, name)


def wait_until_delivered(site: Site, *names: str) -> None:
    done = [("delivered", 1)]
    wait_until(lambda: all(owed(site, name) == done for name in names), f"{names} to have it")


def test_to_archives_it_shows_its_certificate_and_distrusts_strangers(
    site: Site, storescu, image: Path, certificates: Certificates
):
    assert storescu(site.ports["require"], "ours")
    wait_until_delivered(site, "both", "newest", "older")
    assert delivered(site, image, "both", "newest", "older")
    wait_until(lambda: site.state("stranger")[0] == "down", "the stranger to be down")
    assert site.state("stranger") == ("down", "tls_certificate")
    assert owed(site, "stranger") == [("waiting", 0)]  # the destination's fault, not the object's
    said = subprocess.run(
        [DICOM_ROUTER, "queue", "-c", site.router.folder / "site.yaml"],
        capture_output=True,
        text=True,
    )
    (line,) = (line for line in said.stdout.splitlines() if line.startswith("stranger"))
    assert "down since" in line
    assert "tls_certificate" in line
    # A person puts it right: what waited arrives.
    assert site.router.stop() == 0
    site.change("stranger", ca=str(certificates.ca))
    site.router.start()
    wait_until_delivered(site, "stranger")
    assert delivered(site, image, "stranger")
    assert site.state("stranger")[0] == "up"


def test_an_archive_without_the_version_asked_for_is_down_until_it_is_put_right(
    site: Site, storescu, image: Path
):
    assert site.router.stop() == 0
    site.change("older", min_version="1.3")
    site.router.start()
    assert storescu(site.ports["require"], "ours")
    wait_until(lambda: site.state("older")[0] == "down", "the older archive to be down")
    reason = str(site.state("older")[1])
    assert reason.startswith("tls_")
    assert owed(site, "older") == [("waiting", 0)]
    assert site.router.stop() == 0
    site.change("older", min_version="1.2")
    site.router.start()
    wait_until_delivered(site, "older")
    assert delivered(site, image, "older")

"""A router whose store is elsewhere, a bucket or a shared folder: from the modality to the archive
and out of the store again, with the store failing meanwhile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from router.store import DirectoryStore, Store, new_object_id
from router.store.s3 import S3Store
from tests.faults.modality import Modality
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import wait_until
from tests.s3_server import (
    ACCESS_KEY_ID,
    BUCKET,
    SECRET_ACCESS_KEY,
    Proxy,
    place,
    settings,
)

pytestmark = pytest.mark.journey

ROUTES: list[dict[str, object]] = [
    {"name": "all as it came", "send_to": ["plain"]},
    {
        "name": "all with a prefix",
        "edits": [{"prefix": {"PatientID": "EH-"}}],
        "send_to": ["edited"],
    },
]


class Surroundings:
    """Two archives, a router, and the proxy before its bucket."""

    def __init__(self, folder: Path, proxy: Proxy, **changes: object) -> None:
        self.proxy = proxy
        self.prefix = new_object_id()
        self.plain, self.edited = RecordingScp(), RecordingScp()
        self.settings: dict[str, Any] = {
            "store": f"s3://{BUCKET}/{self.prefix}",
            "s3": {
                "endpoint": proxy.endpoint,
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": SECRET_ACCESS_KEY,
                "timeout": "2s",
            },
            "retention": {"delivered": "0s"},
        } | changes
        self.folder = folder

    @contextmanager
    def running(self) -> Iterator[RouterUnderTest]:
        with self.plain, self.edited:
            router = RouterUnderTest(
                self.folder,
                destinations=[dicom("plain", self.plain.port), dicom("edited", self.edited.port)],
                routes=ROUTES,
                **self.settings,
            )
            with router:
                yield router

    def check(self, modality: Modality) -> None:
        """All that was acknowledged is at both archives, the same to the byte at one of them."""
        sent = modality.acknowledged.data_sets
        assert len(sent) > 20, "too little load to prove anything"
        for uid, data in sent.items():
            assert set(self.plain.arrivals.data_sets[uid]) == {data}
            (copy, *_) = self.edited.arrivals.data_sets[uid]
            edited = pydicom.dcmread(io.BytesIO(copy), force=True)
            assert edited.PatientID == "EH-0815"


def objects_in(store: Store) -> int:
    return sum(len(store.ids_in(bucket)) for bucket in store.buckets())


def is_empty(folder: Path) -> bool:
    return not list(folder.rglob("*.dcm"))


def test_a_bucket_that_fails_for_a_while(tmp_path: Path, s3_proxy: Proxy) -> None:
    site = Surroundings(tmp_path, s3_proxy)
    with site.running() as router:
        with Modality(router.port, threads=1) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(acknowledged) > 20, "some load")
            for trouble in ("status", "away"):
                setattr(s3_proxy, trouble, 503)
                pause(0.4)
                s3_proxy.behave()
                pause(0.1)
        assert not modality.acknowledged.refused
        assert not modality.errors
        router.wait_until_settled(modality.acknowledged.data_sets, 60)
        site.check(modality)
        assert router.count("SELECT count(*) FROM deliveries WHERE attempts > 1") == 0
        assert router.count("SELECT count(*) FROM objects WHERE state = 'held'") == 0
        store = S3Store(place(site.prefix), settings(s3_proxy.endpoint))
        wait_until(lambda: objects_in(store) == 0, "retention", 30)
        store.close()
        assert is_empty(tmp_path / "var" / "spool")
        assert router.program is not None
        assert SECRET_ACCESS_KEY not in router.program.output()


@pytest.mark.parametrize("deployment", ["one process"], indirect=True)
def test_a_shared_folder_and_a_promise_that_it_has_the_object(
    tmp_path: Path, s3_proxy: Proxy
) -> None:
    shared = tmp_path / "shared"
    site = Surroundings(
        tmp_path / "site",
        s3_proxy,
        store=f"file:{shared}",
        spool=str(tmp_path / "spool"),
        durability="shared",
        retention={"delivered": "1h"},
    )
    with site.running() as router:
        with Modality(router.port, threads=1) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(acknowledged) > 20, "some load")
        sent = modality.acknowledged.data_sets
        assert objects_in(DirectoryStore(shared)) >= len(sent)
        router.wait_until_settled(sent, 60)
        site.check(modality)
        wait_until(lambda: is_empty(tmp_path / "spool"), "an empty spool", 10)

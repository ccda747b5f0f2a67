"""`durability: shared`: Success is said of what the store elsewhere has, and of nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.broker import Broker
from router.config import Site
from router.ingress import carrying
from router.ingress.service import Ingress
from router.ledger import Ledger
from router.store import DirectoryStore, Spool, new_object_id
from router.store.s3 import S3Store
from tests.faults.modality import MARK, Modality, slice_template
from tests.programs import wait_until
from tests.s3_server import Proxy, place, settings

OURS, THEIRS = "2.25." + "7" * 36, "2.25." + "8" * 36


@pytest.fixture
def store(s3_proxy: Proxy) -> Iterator[S3Store]:
    made = S3Store(place(new_object_id()), settings(s3_proxy.endpoint, timeout=1.0))
    yield made
    made.close()


@pytest.fixture
def ingress(tmp_path: Path, store: S3Store) -> Iterator[Ingress]:
    site = Site.model_validate(
        {
            "listeners": [{"name": "main", "ae_title": "ROUTER", "bind": "127.0.0.1", "port": 0}],
            "store": "s3://objects",
            "spool": tmp_path / "spool",
            "durability": "shared",
            "free_space": {"low": 0, "high": 0},
        }
    )
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.upgrade()
    made = Ingress(
        site,
        ledger=ledger,
        broker=Broker("memory://"),
        spool=Spool(DirectoryStore(tmp_path / "spool")),
        node="test",
        store=store,
    )
    made.start()
    yield made
    made.stop(5)
    ledger.dispose()


def spooled(folder: Path) -> int:
    return len(list((folder / "spool").rglob("*.dcm")))


def test_a_promise_that_cannot_be_kept_is_not_given(
    tmp_path: Path,
    ingress: Ingress,
    store: S3Store,
    s3_proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(carrying, "SECURE_SECONDS", 0.3)
    association = Modality(ingress.acceptors["main"].port)._open()
    template = slice_template()
    s3_proxy.status = 503
    refused = template.replace(MARK.encode(), OURS.encode())
    assert Modality._send(association, OURS, refused) == 0xA700
    assert spooled(tmp_path) == 0
    s3_proxy.behave()
    monkeypatch.setattr(carrying, "SECURE_SECONDS", 20.0)
    wait_until(lambda: carried(store) == 0, "nothing in the store")
    taken = template.replace(MARK.encode(), THEIRS.encode())
    assert Modality._send(association, THEIRS, taken) == 0
    assert carried(store) == 1
    association.release()
    wait_until(lambda: spooled(tmp_path) == 0, "the ledger")


def carried(store: S3Store) -> int:
    return sum(len(store.ids_in(bucket)) for bucket in store.buckets())

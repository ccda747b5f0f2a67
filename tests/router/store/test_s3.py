"""What only a store in a bucket does: requests, refusals, patience, credentials."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from router.config import Site, load_site
from router.net.tls import server_context
from router.store import StoreUnavailable, new_object_id
from router.store.opening import SpoolTaken, open_spool, open_store
from router.store.s3 import S3Store
from router.store.s3_errors import StoreRefuses, meaning
from router.store.spool import Spool
from tests.certificates import Certificates
from tests.s3_server import (
    ACCESS_KEY_ID,
    BUCKET,
    SECRET_ACCESS_KEY,
    Proxy,
    S3Server,
    place,
    settings,
)


@pytest.fixture
def bucket(s3_proxy: Proxy) -> Iterator[S3Store]:
    store = S3Store(place(new_object_id()), settings(s3_proxy.endpoint, timeout=1.0))
    yield store
    store.close()


def put(store: S3Store, data: bytes) -> str:
    object_id = new_object_id()
    with store.create(object_id) as writer:
        writer.write(data)
        writer.commit()
    return object_id


def site(folder: Path, endpoint: str, **changes: object) -> Site:
    s3: dict[str, object] = {
        "endpoint": endpoint,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SECRET_ACCESS_KEY,
        "timeout": "1s",
    }
    settings = {
        "listeners": [{"name": "main", "ae_title": "ROUTER"}],
        "store": f"s3://{BUCKET}/start",
        "s3": s3 | changes,
    }
    (folder / "site.yaml").write_text(yaml.safe_dump(settings))
    return load_site(folder / "site.yaml", {})


def test_a_short_object_takes_one_request_each_way(bucket: S3Store, s3_proxy: Proxy):
    object_id = put(bucket, b"x" * 600_000)
    assert len(s3_proxy.requests) == 1
    with bucket.open(object_id) as file:
        assert b"".join(file.blocks(0, file.size)) == b"x" * 600_000
        assert file.read_at(599_999, 10) == b"x"
    assert len(s3_proxy.requests) == 2


def test_a_long_object_goes_up_in_parts(bucket: S3Store, s3_proxy: Proxy):
    writer = bucket.create(new_object_id())
    for _ in range(20):
        writer.write(b"y" * (1 << 20))
    writer.commit()
    parts = [one for one in s3_proxy.requests if "partNumber" in one]
    assert len(parts) == 3
    with pytest.raises(OSError, match="has left"):
        writer.write_at(0, b"mark")


def test_an_abandoned_upload_is_never_seen(bucket: S3Store):
    object_id = new_object_id()
    with bucket.create(object_id) as writer:
        writer.write(b"y" * (20 << 20))
    with pytest.raises(FileNotFoundError):
        bucket.open(object_id)


def test_a_bad_moment_is_not_noticed(bucket: S3Store, s3_proxy: Proxy):
    object_id = put(bucket, b"kept")
    s3_proxy.away, s3_proxy.times = True, 2
    with bucket.open(object_id) as file:
        assert file.read_at(0, 10) == b"kept"
    assert not s3_proxy.away


@pytest.mark.parametrize(
    "trouble", [{"status": 500}, {"status": 503}, {"away": True}, {"delay": 3.0}]
)
def test_what_fails_for_long_is_the_store_away_within_bounds(
    bucket: S3Store, s3_proxy: Proxy, trouble: dict[str, object]
):
    object_id = put(bucket, b"kept")
    failures = failed("read")
    for name, value in trouble.items():
        setattr(s3_proxy, name, value)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        bucket.open(object_id)
    assert time.monotonic() - began < 4
    assert not isinstance(caught.value, StoreRefuses)
    assert failed("read") == failures + 1


def failed(operation: str) -> float:
    labels = {"operation": operation}
    return REGISTRY.get_sample_value("dicom_router_store_failures_total", labels) or 0.0


def test_a_server_that_dies_and_comes_back_has_everything(own_s3_server: S3Server):
    store = S3Store(place(), settings(own_s3_server.endpoint, timeout=2.0))
    before = put(store, b"a" * 100_000)
    own_s3_server.kill()
    for act in (
        lambda: store.open(before),
        lambda: put(store, b"b"),
        lambda: store.delete([before]),
    ):
        with pytest.raises(StoreUnavailable):
            act()
    own_s3_server.start()
    with store.open(before) as file:
        assert file.size == 100_000
    own_s3_server.pause()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="in time"):
        store.open(before)
    assert time.monotonic() - began < 8
    own_s3_server.resume()
    store.open(before).close()
    store.close()


def test_credentials_that_are_wrong_stop_a_start_and_are_not_told(
    s3_server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    wrong = site(tmp_path, s3_server.endpoint, secret_access_key="not-the-secret-at-all")
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreRefuses) as caught:
        open_store(wrong)
    assert caught.value.strerror == (
        "s3://objects/start: the store refuses our credentials (SignatureDoesNotMatch)"
    )
    assert "not-the-secret" not in caplog.text + repr(caught.value)


def test_a_bucket_that_is_missing_stops_a_start(s3_server: S3Server, tmp_path: Path):
    known = site(tmp_path, s3_server.endpoint)
    missing = known.model_copy(
        update={"store": known.store.model_copy(update={"bucket": "nobody"})}
    )
    # SeaweedFS makes a bucket that an administrator writes to, so only ask.
    store = S3Store(missing.store, missing.s3)  # type: ignore[arg-type]
    with pytest.raises(StoreRefuses, match="the bucket does not exist"):
        store.open(new_object_id())
    with pytest.raises(StoreRefuses, match="the bucket does not exist"):
        store.buckets()


def test_a_store_that_is_away_does_not_stop_a_start(tmp_path: Path):
    open_store(site(tmp_path, "http://127.0.0.1:1"))


def test_a_store_that_is_there_is_opened(s3_server: S3Server, tmp_path: Path):
    for checksum in ("sha256", "crc64nvme"):
        store = open_store(site(tmp_path, s3_server.endpoint, checksum=checksum))
        assert isinstance(store, S3Store)
        for size in (10, 20 << 20):
            object_id = put(store, b"z" * size)
            with store.open(object_id) as file:
                assert file.size == size


def test_each_process_has_a_spool_of_its_own_and_finds_it_again(tmp_path: Path):
    apart = site(tmp_path, "http://127.0.0.1:1")
    store = S3Store(place(), apart.s3)
    first, second = (open_spool(apart, Spool(store)) for _ in range(2))
    assert first.node != second.node
    first.close()
    again = open_spool(apart, Spool(store))
    assert again.node == first.node
    with pytest.raises(ValueError, match="object id"):
        again.store.open("spool.id")
    again.close()
    second.close()


def test_a_folder_is_received_into_by_one_process(tmp_path: Path):
    (tmp_path / "site.yaml").write_text("listeners: [{name: main, ae_title: ROUTER}]\n")
    near = load_site(tmp_path / "site.yaml", {})
    written = Spool(open_store(near))
    assert open_spool(near, written) is written
    with pytest.raises(SpoolTaken, match="each needs a `spool`"):
        open_spool(near, Spool(open_store(near)))
    written.close()
    written.close()


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("non-2xx status code: 404 Not Found: <Code>NoSuchKey</Code>", FileNotFoundError, "not in"),
        ("non-2xx status code: 404 Not Found: <html>nginx</html>", StoreUnavailable, "HTTP 404"),
        ("non-2xx status code: 403 Forbidden: ", StoreRefuses, "HTTP 403"),
        ("non-2xx status code: 507 Insufficient: ", OSError, "full"),
        ("non-2xx status code: 403 x: <Code>QuotaExceeded</Code>", OSError, "full"),
        ("status code: 301: <Code>PermanentRedirect</Code>", StoreRefuses, "another region"),
        ("HTTP error: error sending request: operation timed out", StoreUnavailable, "in time"),
        ("connection refused { retry_timeout: 1s }", StoreUnavailable, "cannot be reached"),
        ("anything else", StoreUnavailable, "cannot be reached"),
    ],
)
def test_what_an_answer_means(text: str, kind: type[OSError], words: str):
    error = meaning(text)
    assert isinstance(error, kind)
    assert words in (error.strerror or "")
    assert isinstance(error, StoreUnavailable) == issubclass(kind, StoreUnavailable)


def encrypted(server: S3Server, certificate: Path, key: Path) -> Proxy:
    """The same server by TLS, as whoever this certificate says."""
    return Proxy(server.port, tls=server_context(cert=certificate, key=key))


def test_a_server_that_our_authority_signed_is_trusted(
    s3_server: S3Server, server_certificates: Certificates
):
    with encrypted(s3_server, server_certificates.server, server_certificates.server_key) as front:
        trusting = settings(front.endpoint, ca=server_certificates.ca)
        store = S3Store(place(new_object_id()), trusting)
        store.check()
        with store.open(put(store, b"by https")) as file:
            assert file.read_at(0, 100) == b"by https"
        store.close()


@pytest.mark.parametrize(
    ("certificate", "authority", "words"),
    [
        ("server", "other_ca", "of an authority that we do not trust"),
        ("server", None, "of an authority that we do not trust"),
        ("elsewhere", "ca", "not that of this host"),
        ("expired", "ca", "has expired"),
    ],
)
def test_a_certificate_that_is_not_accepted_is_said_at_the_start(
    s3_server: S3Server,
    server_certificates: Certificates,
    certificate: str,
    authority: str | None,
    words: str,
):
    ca = getattr(server_certificates, authority) if authority else None
    shown = getattr(server_certificates, certificate)
    with encrypted(s3_server, shown, server_certificates.server_key) as front:
        store = S3Store(place(), settings(front.endpoint, timeout=1.0, ca=ca))
        with pytest.raises(StoreRefuses, match=words):
            store.check()
        store.close()

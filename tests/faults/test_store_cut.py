"""The network between who receives and a store elsewhere is cut: no answer, and no error either."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router.store import new_object_id
from tests.faults.modality import Modality
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.programs import wait_until
from tests.s3_server import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, S3Server
from tests.tcp_proxy import TcpProxy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

AWAY = float(os.environ.get("FAULT_SECONDS", "4"))


def test_modalities_notice_nothing_of_a_store_that_is_cut_off(
    tmp_path: Path, s3_server: S3Server
) -> None:
    with (
        TcpProxy(s3_server.port) as cable,
        RecordingScp() as pacs,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("pacs", pacs.port)],
            routes=[{"name": "all", "send_to": ["pacs"]}],
            store=f"s3://{BUCKET}/{new_object_id()}",
            s3={
                "endpoint": f"http://127.0.0.1:{cable.port}",
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": SECRET_ACCESS_KEY,
                "timeout": "2s",
            },
        ) as router,
    ):
        with Modality(router.port, threads=1, pause=0.05) as modality:
            acknowledged = modality.acknowledged.data_sets
            wait_until(lambda: len(pacs.arrivals.data_sets) > 20, "some load")
            cable.cut()
            pause(AWAY)
            before, arrived = len(acknowledged), len(pacs.arrivals.data_sets)
            wait_until(lambda: len(acknowledged) > before + 20, "objects to be acknowledged", 10)
            assert len(pacs.arrivals.data_sets) == arrived, "the store was not cut off at all"
            cable.mend()
        router.wait_until_settled(acknowledged)
        repeated = pacs.arrivals.total - len(acknowledged)
        print(f"\n{len(acknowledged)} acknowledged, {repeated} sent twice")
    assert not modality.errors
    assert not modality.acknowledged.refused
    assert acknowledged.keys() == pacs.arrivals.data_sets.keys()
    for uid, data in acknowledged.items():
        assert set(pacs.arrivals.data_sets[uid]) == {data}

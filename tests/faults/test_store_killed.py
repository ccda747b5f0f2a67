"""A router whose store is a bucket, killed under load, and the bucket's server killed beside it:
whatever was acknowledged arrives, unedited ones the same to the byte."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from router.store import new_object_id
from tests.faults.modality import Modality, slice_template
from tests.faults.recording import RecordingScp
from tests.faults.router_under_test import RouterUnderTest, dicom, pause
from tests.s3_server import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, S3Server

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))
DURABILITIES = ["local", "shared"] if ROUNDS > 1 else ["local"]

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.mark.parametrize("durability", DURABILITIES)
def test_nothing_acknowledged_is_lost_to_kill_9(
    tmp_path: Path, own_s3_server: S3Server, durability: str
) -> None:
    chance = random.Random(20261121)
    with RecordingScp() as plain, RecordingScp() as edited:
        router = RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("plain", plain.port), dicom("edited", edited.port)],
            routes=[
                {"name": "as it came", "send_to": ["plain"]},
                {"name": "edited", "edits": [{"set": {"PatientID": "X"}}], "send_to": ["edited"]},
            ],
            store=f"s3://{BUCKET}/{new_object_id()}",
            s3={
                "endpoint": own_s3_server.endpoint,
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": SECRET_ACCESS_KEY,
                "timeout": "2s",
            },
            durability=durability,
        )
        router.start()
        with Modality(router.port, threads=1, template=slice_template(512, 512)) as modality:
            for number in range(ROUNDS):
                pause(chance.uniform(0.1, 0.4))
                if number % 3 == 0:
                    own_s3_server.kill()
                    pause(0.2)
                router.kill()
                router.start()
                if number % 3 == 0 and number < ROUNDS - 1:
                    own_s3_server.start()
            pause(0.2)
        if ROUNDS % 3 == 1:
            own_s3_server.start()
        acknowledged = modality.acknowledged.data_sets
        router.wait_until_settled(acknowledged)
        held = router.count("SELECT count(*) FROM objects WHERE state IN ('held', 'failed')")
        router.stop()
    assert not modality.acknowledged.refused
    assert len(acknowledged) > 10 * ROUNDS, "too little load to prove anything"
    assert held == 0
    for uid, data in acknowledged.items():
        assert set(plain.arrivals.data_sets[uid]) == {data}
        assert edited.arrivals.data_sets[uid]
    assert not list((tmp_path / "site" / "var" / "spool").rglob("*.dcm"))
    twice = plain.arrivals.total - len(acknowledged)
    print(f"\n{ROUNDS} kills: {len(acknowledged)} objects acknowledged, {twice} came twice")

"""An object that is larger than memory should be passes through a bucket: in, edited, and out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router.store import new_object_id
from tests.faults.huge import huge_object
from tests.faults.modality import slice_template
from tests.faults.one_by_one import SUCCESS, OneByOne
from tests.faults.recording import RecordingScp, Tally
from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.s3_server import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, S3Server

PIXELS = int(os.environ.get("STORE_MB", "96")) << 20
"""STORE_MB=600 proves it for what nobody would hold in memory."""
MOST_MB = 160 if PIXELS < 100 << 20 else 256
"""Parts on their way up, blocks on their way down for two destinations, and what the allocator
keeps of them: measured 109 MB for 96, 174 MB for 600. Gathered whole it was twice the object."""

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_memory_does_not_grow_with_an_object_in_a_bucket(
    tmp_path: Path, own_s3_server: S3Server
) -> None:
    with (
        RecordingScp(buffer=Tally) as plain,
        RecordingScp(buffer=Tally) as edited,
        RouterUnderTest(
            tmp_path / "site",
            destinations=[dicom("plain", plain.port), dicom("edited", edited.port)],
            forked=False,
            routes=[
                {"name": "as it came", "send_to": ["plain"]},
                {"name": "edited", "edits": [{"set": {"PatientID": "X"}}], "send_to": ["edited"]},
            ],
            store=f"s3://{BUCKET}/{new_object_id()}",
            s3={
                "endpoint": own_s3_server.endpoint,
                "access_key_id": ACCESS_KEY_ID,
                "secret_access_key": SECRET_ACCESS_KEY,
            },
            retention={"delivered": "0s"},
        ) as router,
        huge_object(PIXELS) as huge,
        OneByOne(router.port) as line,
    ):
        line.send_copies(slice_template(), 20)
        router.wait_until_settled(line.acknowledged)
        router.forget_peak()
        before = router.resident_mb()
        assert line.send([huge.header, huge.pixels], huge.uid) == SUCCESS
        router.wait_until_settled([*line.acknowledged, huge.uid], 300)
        growth = router.peak_mb() - before
        print(f"\n{PIXELS >> 20} MB: {growth:.0f} MB more than {before:.0f} MB at the most")
        assert plain.arrivals.data_sets[huge.uid] == [huge.told]
        (told,) = edited.arrivals.data_sets[huge.uid]
        assert int(told.split()[0]) > PIXELS
        assert growth < MOST_MB

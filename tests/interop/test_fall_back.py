"""Receivers that take uncompressed objects only get what came compressed, through the router.

What they keep is compared pixel by pixel with what came, as pydicom's decoders read both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop import corpus
from tests.interop.corpus import Specimen
from tests.interop.receivers import Receiver, StorescpAsShipped
from tests.interop.senders import Pynetdicom
from tests.programs import needed, wait_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

WRITTEN_AS_UN = {"rtdose_rle.dcm", "rtdose_rle_1frame.dcm"}
"""CTN's receiver aborts on a SOP class written as UN, as Orthanc does."""
DCT = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}


class SimpleStorage(Receiver):
    """CTN's example of a receiver, of 1994: native syntaxes only, one association at a time."""

    name = "simple_storage"
    associations = 1

    def command(self) -> list[str | Path]:
        place: list[str | Path] = ["-c", self.ae_title, "-x", f"{self.kept}/"]
        return [needed("simple_storage"), "-i", "-s", *place, str(self.port)]

    def takes(self, specimen: Specimen) -> bool:
        return specimen.name not in WRITTEN_AS_UN


class UncompressedOnly(StorescpAsShipped):
    """What is compressed comes uncompressed, so it takes all."""

    def takes(self, specimen: Specimen) -> bool:
        return True


@dataclass(frozen=True)
class Way:
    receiver: Receiver
    router: RouterUnderTest


@pytest.fixture
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    receiver: Receiver = request.param(tmp_path / "receiver")
    router = RouterUnderTest(
        tmp_path / "router",
        destinations=[dicom(receiver.name, receiver.port, associations=1)],
        routes=[{"name": "all", "send_to": [receiver.name]}],
    )
    try:
        router.start()
        yield Way(receiver, router)
    finally:
        router.stop()
        receiver.stop()


def compressed() -> list[Specimen]:
    """One of each SOP instance, in every syntax."""
    found = {
        specimen.sop_instance_uid: specimen
        for specimen in corpus.storage_objects()
        if specimen.transfer_syntax_uid not in {*corpus.UNCOMPRESSED, corpus.DEFLATED}
        and specimen.consistent
    }
    return list(found.values())


@pytest.mark.parametrize("way", [UncompressedOnly, SimpleStorage], indirect=True)
def test_what_came_compressed_is_received_uncompressed(way: Way):
    sent = [specimen for specimen in compressed() if way.receiver.takes(specimen)]
    assert len({specimen.transfer_syntax_uid for specimen in sent}) >= 6
    Pynetdicom().send(sent, way.router.port, "ROUTER")
    wait_until(lambda: sum(states(way.router).values()) == len(sent), "routing")
    wait_until(lambda: set(states(way.router)) == {"delivered"}, "deliveries", 60)
    kept = {str(one.SOPInstanceUID): one for one in map(read, way.receiver.kept_files())}
    assert set(kept) == {specimen.sop_instance_uid for specimen in sent}
    for specimen in sent:
        one = kept[specimen.sop_instance_uid]
        assert one.file_meta.TransferSyntaxUID in corpus.UNCOMPRESSED
        same_pixels(one, specimen)


def states(router: RouterUnderTest) -> dict[str, int]:
    rows = router.ask("SELECT state, count(*) FROM deliveries GROUP BY state")
    return {str(state): int(str(count)) for state, count in rows}


def read(path: Path) -> pydicom.FileDataset:
    return pydicom.dcmread(path)


def same_pixels(kept: pydicom.FileDataset, came: Specimen) -> None:
    """Decoders of JPEG may round differently, those of other syntaxes may not."""
    try:
        wanted = read(came.path).pixel_array
    except (RuntimeError, AttributeError):
        return  # what pydicom cannot read cannot be judged by it
    off = np.abs(kept.pixel_array.astype(np.int64) - wanted.astype(np.int64)).max()
    assert off <= (5 if came.transfer_syntax_uid in DCT else 0), came.name

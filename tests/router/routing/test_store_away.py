"""While the store is away objects wait for their verdict, and none of them is held for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.ledger import ObjectState, objects
from router.store import Spool, Store, StoreUnavailable, new_object_id
from router.store.s3 import S3Store
from tests.router.routing.test_batch import House as Near
from tests.s3_server import Proxy, place, settings

EDITED = "routes: [{name: all, edits: [{prefix: {PatientID: EH-}}], send_to: [pacs]}]"


@pytest.fixture
def bucket(s3_proxy: Proxy) -> Iterator[S3Store]:
    store = S3Store(place(new_object_id()), settings(s3_proxy.endpoint, timeout=0.5))
    yield store
    store.close()


class House(Near):
    """Objects that were received here and carried into a bucket."""

    def __init__(self, folder: Path, bucket: Store) -> None:
        super().__init__(folder)
        self.bucket = bucket
        self.received = [self.receive() for _ in range(3)]
        for object_id in self.received:
            with self.store.open(object_id) as file, bucket.create(object_id) as writer:
                writer.write(file.read_at(0, file.size))
                writer.commit()
        self.spool = Spool(bucket)

    def states(self) -> list[ObjectState]:
        with self.ledger.read() as connection:
            return [one.state for one in objects.by_ids(connection, self.received)]

    def in_bucket(self) -> int:
        return sum(len(self.bucket.ids_in(name)) for name in self.bucket.buckets())


@pytest.mark.parametrize("passes", [0, 1, 2, 3])
def test_what_the_store_does_not_give_or_take_stays_received(
    tmp_path: Path, bucket: S3Store, s3_proxy: Proxy, passes: int
) -> None:
    house = House(tmp_path, bucket)
    routing = house.routing(EDITED)
    # A header, its copy, a header, its copy: the store fails after so many requests.
    s3_proxy.status, s3_proxy.passes = 503, passes
    with pytest.raises(StoreUnavailable):
        routing.route(house.received)
    done = passes // 2
    assert house.states().count(ObjectState.ROUTED) == done
    assert house.states().count(ObjectState.RECEIVED) == 3 - done
    s3_proxy.behave()
    assert routing.route(house.received) == {"pacs"}
    assert house.states() == [ObjectState.ROUTED] * 3
    assert house.in_bucket() == 6
    house.ledger.dispose()

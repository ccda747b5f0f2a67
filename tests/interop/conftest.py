"""Receivers that run for as long as a module needs them, each alone and behind a router."""

import re
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.router_under_test import RouterUnderTest, dicom
from tests.interop import corpus
from tests.interop.corpus import Mark, Specimen
from tests.interop.receivers import RECEIVERS, Receiver
from tests.interop.senders import Sender
from tests.programs import wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A receiver, and a router whose only route leads to it."""

    receiver: Receiver
    router: RouterUnderTest

    def direct(self, sender: Sender, specimens: Sequence[Specimen]) -> Counter[Mark]:
        """What the receiver keeps when it is sent these without a router."""

        def send(batch: Sequence[Specimen]) -> None:
            sender.send(batch, self.receiver.port, self.receiver.ae_title)

        return self._kept(send, specimens)

    def routed(self, sender: Sender, specimens: Sequence[Specimen]) -> Counter[Mark]:
        """What it keeps when they come through the router."""

        def send(batch: Sequence[Specimen]) -> None:
            sender.send(batch, self.router.port, "ROUTER")
            settle(self.router)

        return self._kept(send, specimens)

    def _kept(
        self, send: Callable[[Sequence[Specimen]], None], specimens: Sequence[Specimen]
    ) -> Counter[Mark]:
        kept: Counter[Mark] = Counter()
        for batch in self.receiver.batches(specimens):
            self.receiver.forget()
            send(batch)
            self.wait_until_quiet()
            kept += corpus.marks(self.receiver.received())
        return kept

    def wait_until_quiet(self) -> None:
        """Some answer before the file is where it belongs: let the count come to rest."""
        counts: list[int] = []

        def rests() -> bool:
            counts.append(self.receiver.count())
            return len(counts) > 5 and len(set(counts[-5:])) == 1

        wait_until(rests, f"{self.receiver.name} to come to rest")


@pytest.fixture(scope="module")
def way_to(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Way]]:
    """The way to a receiver by its name; one at a time runs, and ends with the module."""
    open_ways: dict[str, Way] = {}

    def open_way(name: str) -> Way:
        if name not in open_ways:
            close_all()
            open_ways[name] = start_way(tmp_path_factory.mktemp(name), name)
        return open_ways[name]

    def close_all() -> None:
        for way in open_ways.values():
            way.router.stop()
            way.receiver.stop()
        open_ways.clear()

    yield open_way
    close_all()


def settle(router: RouterUnderTest) -> None:
    """Wait until what the router has answered with success is in the ledger and out of the door."""

    def received() -> int:
        url = f"http://127.0.0.1:{router.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as reply:
            text: str = reply.read().decode()
        found = re.findall(
            r'^dicom_router_objects_received_total\{.*"stored".*\} (\S+)$', text, re.MULTILINE
        )
        return int(sum(float(value) for value in found))

    wait_until(lambda: router.count("SELECT count(*) FROM objects") == received(), "intake")
    router.wait_until_settled(())


def start_way(folder: Path, name: str) -> Way:
    (kind,) = (kind for kind in RECEIVERS if kind.name == name)
    receiver = kind(folder / "receiver")
    # Who serves one association at a time is soon free for the next sender.
    settings = {"associations": receiver.associations, "idle": "100ms"}
    router = RouterUnderTest(
        folder / "router",
        destinations=[dicom(receiver.name, receiver.port, **settings)],
        routes=[{"name": "all", "send_to": [receiver.name]}],
        # The corpus has many objects with the same SOP Instance UID, and they are no loop.
        loops={"receptions": 10_000},
    )
    try:
        router.start()
    except AssertionError:
        receiver.stop()
        raise
    return Way(receiver=receiver, router=router)

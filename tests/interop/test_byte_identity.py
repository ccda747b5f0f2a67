"""An object that no rule edits leaves the router with exactly the bytes that came in.

Each sender sends the corpus to each receiver twice: straight, and through the router. What the
receiver keeps must be the same, in as many copies. Senders that send a file as it is are held to
the file itself too, wherever the receiver keeps what came.
"""

from collections.abc import Callable

import pytest

from tests.interop import corpus
from tests.interop.conftest import Way
from tests.interop.receivers import RECEIVERS
from tests.interop.senders import SENDERS, Sender

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.mark.parametrize("sender_kind", SENDERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("receiver_name", [kind.name for kind in RECEIVERS])  # started once each
def test_the_receiver_keeps_the_same_with_and_without_the_router(
    way_to: Callable[[str], Way], sender_kind: type[Sender], receiver_name: str
) -> None:
    way, sender = way_to(receiver_name), sender_kind()
    specimens = [
        specimen
        for specimen in corpus.storage_objects()
        if sender.offers(specimen) and way.receiver.takes(specimen)
    ]

    straight = way.direct(sender, specimens)
    routed = way.routed(sender, specimens)

    assert routed == straight
    assert straight.total() > 0
    if sender.exact and way.receiver.exact:
        assert routed == corpus.marks(specimens)

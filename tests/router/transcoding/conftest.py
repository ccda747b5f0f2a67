from collections.abc import Iterator

import pytest

from router.config import Codecs
from router.transcoding.transcoder import Transcoder


@pytest.fixture(scope="session")
def transcoder() -> Iterator[Transcoder]:
    made = Transcoder(Codecs())
    yield made
    made.close()

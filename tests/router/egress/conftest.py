"""A ledger, a store and peers for egress."""

from pathlib import Path

import pytest

from router.ledger import Ledger
from router.store import DirectoryStore
from tests.router.egress.surroundings import CT, ELE, ILE, MR, House, Scp


@pytest.fixture
def house(tmp_path: Path):
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.upgrade()
    made = House(ledger, DirectoryStore(tmp_path / "store"))
    yield made
    made.pool.close()
    ledger.dispose()


@pytest.fixture
def scp():
    """Makes peers; they are stopped in the end."""
    made: list[Scp] = []

    def make(contexts: dict[str, list[str]] | None = None, **options) -> Scp:
        made.append(Scp(contexts or {CT: [ELE, ILE], MR: [ELE, ILE]}, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()

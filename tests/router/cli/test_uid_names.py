"""Names of UIDs without pydicom's import, and with its words."""

import subprocess
import sys

import pytest
from pydicom.uid import UID

from router.cli.uid_names import EVERYDAY, name_of


@pytest.mark.parametrize("uid", EVERYDAY)
def test_everyday_names_are_the_dictionary_s(uid: str):
    assert name_of(uid) == UID(uid).name != uid


def test_the_others_are_looked_up():
    assert name_of("1.2.840.10008.5.1.4.1.1.66.5") == "Surface Segmentation Storage"
    assert name_of("1.2.3.4.5") == "1.2.3.4.5"


QUICK = """
import sys
from router.cli import load
for name in ("queue", "trace"):
    load(name)
import router.config
from router.ledger.migrations import check_schema
slow = {"pydicom", "alembic", "celery", "kombu", "numpy", "prometheus_client", "rich", "psycopg"}
print(*sorted(slow & set(sys.modules)))
"""


def test_queue_and_trace_import_nothing_they_can_do_without():
    found = subprocess.run(
        [sys.executable, "-c", QUICK], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == []

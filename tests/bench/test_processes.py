"""Who is measured: another maker's program is never one of ours with its name."""

import sys
from pathlib import Path

from bench.processes import path_to_others


def test_our_own_folder_is_not_looked_in():
    ours = Path(sys.executable).parent
    assert path_to_others(f"{ours}:/usr/local/bin:{ours}/:/usr/bin") == "/usr/local/bin:/usr/bin"

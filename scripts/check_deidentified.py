"""dicom-validator's opinion of every test file before and after de-identification.

    python -m scripts.check_deidentified .peers/standard [OPTION...]

The folder holds the standard as the validator reads it (scripts/install_peers.sh puts it there).
Options are those of a profile. Prints each error that the file did not have before; exits with 1 if
there is one.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from rules.encoded.data_set import MalformedDataSet
from rules.encoded.draft import EditFailed
from tests.rules.conftest import SAMPLES
from tests.rules.deid.test_corpora import run
from tests.rules.deid.test_phantom import FEARLESS


def main(folder: Path, options: list[str]) -> int:
    """0 where nothing new is wrong."""
    from dicom_validator.spec_reader.edition_reader import EditionReader

    info = EditionReader.load_dicom_info(folder)
    logging.getLogger("validator").disabled = True
    judged = worse = 0
    for name, sample in SAMPLES.items():
        try:
            _, data = run(sample, dangers=FEARLESS, options=options)
        except (EditFailed, MalformedDataSet):
            continue
        new = _errors(sample.decoded(data), info) - _errors(sample.decoded(), info)
        judged += 1
        worse += bool(new)
        for error in sorted(new):
            print(f"{name}: {error}")
    print(f"{judged} files judged, {worse} with new errors")
    return 1 if worse or not judged else 0


def _errors(data_set: Any, info: Any) -> set[str]:
    from dicom_validator.validator.iod_validator import IODValidator

    found = IODValidator(data_set, info, log_level=logging.CRITICAL).validate()
    return {f"{module}: {error}" for module, errors in found.items() for error in errors}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))

"""`dicom-router reconcile`: asked now, and what the schedule found."""

from pathlib import Path
from typing import Any

from router.ledger import Ledger, reconciliations
from router.ledger.reconciling import LAST
from tests.router.commitment.catalogue import Catalogue


def at_archive(site_file: Path, archive: Catalogue) -> None:
    """Its only DICOM destination is there."""
    text = site_file.read_text(encoding="utf-8")
    first, _ = text.split("  - {name: ai")
    here = f"host: 127.0.0.1, port: {archive.port}"
    text = first.replace("host: pacs.example.org", here)
    site_file.write_text(text, encoding="utf-8")


def test_what_is_missing_is_told_and_sent_again(call: Any, site_file: Path, busy: Ledger):
    with Catalogue() as archive:
        at_archive(site_file, archive)
        said = call("reconcile", "--since", "30d", "-c", site_file)
        assert said.code == 0  # all of it came longer ago
        said = call("reconcile", "--study", "1.2.3.4", "-c", site_file)
        assert said.code == 0  # without a series they cannot be asked for
        assert (
            "pacs: 3 objects of 1 studies, 0 missing, 0 changed, 3 cannot be looked for" in said.out
        )
        with busy.write() as connection:
            connection.exec_driver_sql("UPDATE objects SET series_instance_uid = '1.2.3.4.9'")
        said = call("reconcile", "--study", "1.2.3.4", "--resend", "--json", "-c", site_file)
    assert said.code == 1
    (told,) = said.json
    assert (told["destination"], told["objects"], told["resent"]) == ("pacs", 3, 1)
    assert [one["why"] for one in told["missing"]] == [
        "delivered, and not there",
        "not sent: waiting",
        "not sent: waiting",
    ]
    assert told["changed"] == told["incomplete"] == []


def test_what_the_schedule_found_is_shown(call: Any, site_file: Path, busy: Ledger):
    said = call("reconcile", "--last", "-c", site_file)
    assert (said.code, said.out) == (0, "no destination was reconciled on a schedule yet\n")
    finding = reconciliations.Finding("missing", "1.2.3.4", "1.2.3.4.1", 1, "delivered, not there")
    with busy.write() as connection:
        run = reconciliations.begin(connection, "pacs", now=10**12, since_ms=1, after_ms=0)
        counts = {"studies": 1, "objects": 3, "missing": 1}
        reconciliations.go_on(connection, run.id, position=LAST, counts=counts, findings=[finding])
        reconciliations.begin(connection, "pacs", now=10**12, since_ms=1, after_ms=0)
    said = call("reconcile", "--last", "-c", site_file)
    assert said.code == 1
    assert "1.2.3.4.1" in said.out
    assert "1 studies, 3 objects, 1 missing" in said.out
    assert "pacs: running since" in said.out
    (told,) = call("reconcile", "--last", "--json", "-c", site_file).json
    assert told["done"]["missing"] == 1
    assert told["newest"]["state"] == "running"
    assert told["findings"][0]["sop_instance_uid"] == "1.2.3.4.1"


def test_where_nobody_can_be_asked_it_says_so(call: Any, site_file: Path, busy: Ledger):
    text = site_file.read_text(encoding="utf-8")
    folders = "destinations: [{name: quiet, folder: {path: quiet}}]\n"
    site_file.write_text(text.partition("destinations:")[0] + folders, encoding="utf-8")
    said = call("reconcile", "-c", site_file)
    assert said.code == 0
    assert "no DICOM destination" in said.err

"""Comparing what a destination has with what it was sent: every planted loss, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router.commitment.identifiers import KEYWORDS
from router.commitment.reconciling import Comparing, Kind, StudyCompared, studies
from router.config import Destination, DicomDestination
from router.config_reconcile import Compared
from router.ledger import DerivedObject, Identifiers, Ledger, NewDelivery, reconciling
from router.net.errors import NetError
from router.store import Store, new_object_id
from router.store.directory import DirectoryStore
from router.store.memory import MemoryStore
from tests.contracts.conftest import Story
from tests.router.commitment.catalogue import Catalogue

CT = "1.2.840.10008.5.1.4.1.1.2"
OF_IMAGES = {"InstanceNumber": "3", "NumberOfFrames": "1", "Rows": 64, "Columns": 32}


class Site:
    """A ledger, a store, and an archive that has all that it was sent."""

    def __init__(self, folder: Path, archive: Catalogue) -> None:
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()
        self.story = Story(self.ledger)
        self.store: Store = MemoryStore()
        self.archive = archive
        self.ignored: frozenset[str] = frozenset()
        self.until_ms: int | None = None

    def send(self, count: int = 1, *, study: str = "1.2.3", series: str = "1.2.3.1") -> list[str]:
        """Objects of a series that are sent, and arrive; their SOP instance UIDs."""
        uids = []
        for _ in range(count):
            (uid,) = self.receive(study=study, series=series)
            uids.append(uid)
        self.story.end(self.story.lease("pacs", limit=1000))
        for uid in uids:
            self.arrive(uid, study=study, series=series)
        return uids

    def receive(self, *, study: str | None, series: str | None, **changes: Any) -> list[str]:
        """An object that is owed to the archive."""
        (one,) = self.story.receive(**changes)
        with self.store.create(one) as writer:
            writer.write(bytes(500) + header())
            writer.commit()
        identifiers = Identifiers(
            study_instance_uid=study,
            series_instance_uid=series,
            patient_id="P1",
            accession_number="A1",
        )
        self.story.record(replace(self.story.route(one, "pacs"), identifiers=identifiers))
        return [self.story.stored(one).sop_instance_uid]

    def arrive(self, uid: str, *, study: str, series: str) -> None:
        place = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": uid}
        of_study = {"PatientID": "P1", "AccessionNumber": "A1"}
        self.archive.entries.append({**place, **of_study, "SOPClassUID": CT, **OF_IMAGES})

    def look(self, **terms: object) -> list[StudyCompared]:
        destination = Destination(
            name="pacs",
            dicom=DicomDestination(ae_title="PACS", host="127.0.0.1", port=self.archive.port),
        )
        comparing = Comparing(
            destination=destination,
            ledger=self.ledger,
            store=self.store,
            ignored=self.ignored,
            until_ms=self.until_ms,
        )
        return list(studies(comparing, **terms))  # type: ignore[arg-type]

    def found(self, **terms: object) -> dict[str, tuple[Kind, tuple[str, ...]]]:
        return {
            one.sent.sop_instance_uid: (one.kind, one.changed)
            for study in self.look(**terms)
            for one in study.findings
        }


def header(announced: int | None = None) -> bytes:
    """The data set of an object as far as it is compared, in explicit VR."""
    elements = [
        (0x0020, 0x0013, b"IS", b"3 "),
        *([(0x0020, 0x1208, b"IS", f"{announced:4d}".encode())] if announced else []),
        (0x0028, 0x0010, b"US", (64).to_bytes(2, "little")),
        (0x0028, 0x0011, b"US", (32).to_bytes(2, "little")),
    ]
    return b"".join(
        group.to_bytes(2, "little")
        + element.to_bytes(2, "little")
        + vr
        + len(value).to_bytes(2, "little")
        + value
        for group, element, vr, value in elements
    )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Catalogue() as archive:
        made = Site(tmp_path, archive)
        yield made
        made.ledger.dispose()


def test_nothing_is_found_where_all_is_as_it_was_sent(site: Site) -> None:
    site.send(3)
    site.send(2, study="1.2.4", series="1.2.4.1")
    compared = site.look()
    assert [(one.study_instance_uid, one.objects, one.there) for one in compared] == [
        ("1.2.3", 3, 3),
        ("1.2.4", 2, 2),
    ]
    assert site.found() == {}


def test_what_was_deleted_and_what_was_never_sent_is_missing(site: Site) -> None:
    _, deleted = site.send(2)
    site.archive.entries.remove(site.archive.entry(deleted))
    (never,) = site.receive(study="1.2.3", series="1.2.3.1")
    assert site.found() == {deleted: (Kind.MISSING, ()), never: (Kind.MISSING, ())}
    (study,) = site.look()
    told = {one.sent.sop_instance_uid: (one.why, one.resendable) for one in study.findings}
    assert told == {
        deleted: ("delivered, and not there", True),
        never: ("not sent: waiting", False),
    }


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"),
        ("InstanceNumber", "4"),
        ("Rows", 65),
        ("Columns", 33),
    ],
)
def test_what_was_changed_is_found(site: Site, keyword: str, value: object) -> None:
    _, changed = site.send(2)
    site.archive.entry(changed)[keyword] = value
    assert site.found() == {changed: (Kind.CHANGED, (keyword,))}
    site.ignored = frozenset({keyword})
    assert keyword in site.archive.keys
    site.archive.keys.clear()
    assert site.found() == {}
    assert keyword not in site.archive.keys


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber"])
def test_what_was_changed_of_the_study_is_found(site: Site, keyword: str) -> None:
    uids = site.send(2)
    site.send(1, study="1.2.4", series="1.2.4.1")
    for uid in uids:
        site.archive.entry(uid)[keyword] = "ANOTHER"
    assert site.found() == dict.fromkeys(uids, (Kind.CHANGED, (keyword,)))
    site.ignored = frozenset({keyword})
    assert site.found() == {}


@pytest.mark.parametrize(
    ("place", "keywords"),
    [
        ({"SeriesInstanceUID": "9.9"}, ("SeriesInstanceUID",)),
        (
            {"SeriesInstanceUID": "9.9", "StudyInstanceUID": "9"},
            ("StudyInstanceUID", "SeriesInstanceUID"),
        ),
    ],
)
def test_what_was_moved_is_changed_where_the_peer_tells_and_missing_where_not(
    site: Site, place: dict[str, object], keywords: tuple[str, ...]
) -> None:
    _, moved = site.send(2)
    site.archive.entry(moved).update(place)
    assert site.found() == {moved: (Kind.CHANGED, keywords)}
    for habit in ("refuses", "hangs up"):
        site.archive.relational = habit
        assert site.found() == {moved: (Kind.MISSING, ())}


def test_what_a_peer_leaves_out_is_no_difference(site: Site) -> None:
    uids = site.send(2)
    for uid in uids:
        site.archive.entry(uid).update(InstanceNumber="9", Rows=9, PatientID="NOBODY")
    site.archive.tells = frozenset()
    assert site.found() == {}


@pytest.mark.parametrize(
    "there",
    [
        {"InstanceNumber": "+03"},
        {"InstanceNumber": ""},
        {"PatientID": ""},
        {"PatientID": "Müller"},
        {"AccessionNumber": ""},
        {"Rows": None},
        {"NumberOfFrames": "1"},
    ],
)
def test_what_says_the_same_or_nothing_is_no_difference(
    site: Site, there: dict[str, object]
) -> None:
    (uid,) = site.send()
    site.archive.entry(uid).update(there)
    assert site.found() == {}


def test_a_study_sent_under_two_patient_ids_shows_one_of_them(site: Site) -> None:
    first, second = site.send(2)
    with site.ledger.write() as connection:
        connection.exec_driver_sql(
            "UPDATE objects SET patient_id = 'P2' WHERE sop_instance_uid = ?", (second,)
        )
    assert site.found() == {}
    site.archive.entry(first)["PatientID"] = "P3"
    assert set(site.found()) == {first, second}


def test_without_the_bytes_only_what_the_ledger_knows_is_compared(site: Site) -> None:
    (uid,) = site.send()
    site.archive.entry(uid).update(Rows=9, SOPClassUID="1.2.3.4")
    site.store = MemoryStore()
    assert site.found() == {uid: (Kind.CHANGED, ("SOPClassUID",))}


def test_a_peer_that_does_not_heed_the_keys_makes_no_finding(site: Site) -> None:
    site.send(2)
    site.send(2, study="1.2.4", series="1.2.4.1")
    site.archive.heeds_keys = False
    assert site.found() == {}


def test_a_peer_without_study_level_is_asked_for_images(site: Site) -> None:
    _, deleted = site.send(2)
    site.archive.entries.remove(site.archive.entry(deleted))
    site.archive.refuses = frozenset({"STUDY"})
    assert site.found() == {deleted: (Kind.MISSING, ())}


@pytest.mark.parametrize("damage", [b"", b"\x20\x00\x13\x00IS\xff\xff", b"\x08\x00"])
def test_a_damaged_header_is_no_difference(site: Site, tmp_path: Path, damage: bytes) -> None:
    (uid,) = site.send()
    site.store = DirectoryStore(tmp_path / "store")
    with site.ledger.read() as connection:
        (sent,) = reconciling.sent_of(connection, "pacs", "1.2.3", start="", end="g")
    with site.store.create(sent.payload_id) as writer:
        writer.write(bytes(500) + damage)
        writer.commit()
    assert site.found() == {}
    site.store.delete([sent.payload_id])
    with site.store.create(sent.payload_id) as writer:
        writer.write(bytes(500) + header())
        writer.commit()
    assert site.found() == {}
    site.archive.entry(uid)["Rows"] = 9
    assert site.found() == {uid: (Kind.CHANGED, ("Rows",))}


def test_what_was_edited_is_looked_for_as_it_was_sent(site: Site) -> None:
    (one,) = site.story.receive()
    copy = DerivedObject(
        id=new_object_id(),
        sop_class_uid=CT,
        sop_instance_uid="2.25.77",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        size=1,
        data_set_offset=0,
        checksum="00",
        identifiers=Identifiers(
            study_instance_uid="2.25.7", series_instance_uid="2.25.71", patient_id="ANON"
        ),
    )
    owed = NewDelivery(destination="pacs", route="all", payload_id=copy.id)
    routed = replace(site.story.route(one), derived=(copy,), deliveries=(owed,))
    site.story.record(replace(routed, identifiers=Identifiers(study_instance_uid="1.2.3")))
    site.story.end(site.story.lease("pacs"))
    assert site.found() == {"2.25.77": (Kind.MISSING, ())}
    site.arrive("2.25.77", study="2.25.7", series="2.25.71")
    assert site.found() == {"2.25.77": (Kind.CHANGED, ("PatientID",))}
    site.archive.entry("2.25.77")["PatientID"] = "ANON"
    for name in (None, "1.2.3", "2.25.7"):
        (study,) = [one for one in site.look(study=name) if one.objects]
        assert (study.study_instance_uid, study.findings) == ("2.25.7", ())


def test_what_was_sent_again_in_another_study_is_looked_for_there_alone(site: Site) -> None:
    (uid,) = site.send()
    site.archive.entries.clear()
    site.receive(study="1.2.4", series="1.2.4.1", sop_instance_uid=uid)
    site.story.end(site.story.lease("pacs"))
    site.arrive(uid, study="1.2.4", series="1.2.4.1")
    assert site.found() == {}
    site.archive.entries.clear()
    (study,) = [one for one in site.look() if one.findings]
    assert study.study_instance_uid == "1.2.4"


def test_what_has_no_study_cannot_be_looked_for_and_nothing_is_asked(site: Site) -> None:
    (uid,) = site.receive(study=None, series=None)
    assert site.found() == {uid: (Kind.UNKNOWN, ())}
    assert site.archive.asked == []


def test_what_was_delivered_a_moment_ago_is_left_alone(site: Site) -> None:
    uids = site.send(2)
    site.archive.entries.clear()
    site.until_ms = 0
    assert site.found() == {}
    site.until_ms = None
    assert set(site.found()) == set(uids)


def test_fewer_than_the_objects_say_there_are(site: Site) -> None:
    (uid,) = site.send()
    (told,) = site.look()
    assert (told.announced, told.is_incomplete) == (None, False)
    site.store = MemoryStore()
    with site.ledger.read() as connection:
        (sent,) = reconciling.sent_of(connection, "pacs", "1.2.3", start="", end="g")
    with site.store.create(sent.payload_id) as writer:
        writer.write(bytes(500) + header(announced=2))
        writer.commit()
    (told,) = site.look()
    assert (told.announced, told.received, told.is_incomplete) == (2, 1, True)
    site.send()
    (told,) = site.look()
    assert (told.announced, told.received, told.is_incomplete) == (2, 2, False)
    assert uid not in site.found()


def test_each_study_is_asked_for_once_however_it_is_spread(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        study = f"1.2.{number % 3}"
        site.send(1, study=study, series=f"{study}.1")
    for page in (1, 2, 4, 1000):
        monkeypatch.setattr(reconciling.places, "__kwdefaults__", {"limit": page})
        compared = site.look()
        assert [one.study_instance_uid for one in compared] == ["1.2.0", "1.2.1", "1.2.2"]
        assert [one.objects for one in compared] == [3, 3, 3]
    assert site.archive.associations == 4


def test_who_does_not_tell_is_an_error(site: Site) -> None:
    site.send()
    site.archive.status = 0xA700
    with pytest.raises(NetError):
        site.look()


def test_the_site_may_name_all_that_is_compared() -> None:
    assert set(Compared.__args__) == set(KEYWORDS.values())  # type: ignore[attr-defined]

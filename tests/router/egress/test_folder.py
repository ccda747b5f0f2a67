"""Delivering into a folder: whole files, fresh meta, nothing left behind."""

import errno
import os

import pydicom
import pytest

from router.config import Destination
from router.dicom.part10 import read_file_meta
from router.egress import folder as folder_module
from tests.router.egress.surroundings import CT, ELE, ILE, JPEG, Row, encode, small

LAYOUT = "{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def destination(out):
    return Destination.model_validate({"name": "out", "folder": {"path": out, "layout": LAYOUT}})


def files(out):
    return sorted(path for path in out.rglob("*") if path.is_file())


@pytest.mark.parametrize("syntax", [ELE, ILE, JPEG])
def test_an_object_becomes_a_file_with_its_bytes_and_fresh_meta(house, destination, out, syntax):
    data_set = small(PatientName="Doe^Jane")
    data = encode(data_set, ILE if syntax == ILE else ELE)
    (uid,) = house.owe("out", data_set, syntax=syntax, encoded=data)
    assert house.drain(destination).delivered == 1
    (file,) = files(out)
    assert file == out / "P1" / "1.2.3" / f"{uid}.dcm"
    content = file.read_bytes()
    meta, offset = read_file_meta(content)
    assert content[offset:] == data
    assert b"SECRET_AE" not in content
    assert (meta.transfer_syntax_uid, meta.media_storage_sop_class_uid) == (syntax, CT)
    assert pydicom.dcmread(file).PatientName == "Doe^Jane"
    assert house.rows()[uid] == Row("delivered", 1, "written")


def test_many_objects_share_folders_and_leave_no_temporary_files(house, destination, out):
    house.owe("out", *(small() for _ in range(40)))
    assert house.drain(destination).delivered == 40
    assert len(files(out)) == 40
    assert all(path.suffix == ".dcm" for path in files(out))


def test_an_object_that_comes_again_replaces_its_file(house, destination, out):
    first = small(PatientComments="first")
    house.owe("out", first)
    house.drain(destination)
    first.PatientComments = "second"
    house.owe("out", first)
    house.drain(destination)
    (file,) = files(out)
    assert pydicom.dcmread(file).PatientComments == "second"


def test_a_patient_id_cannot_lead_out_of_the_folder(house, destination, out, tmp_path):
    house.owe("out", small(PatientID="../../escaped"), small(PatientID="..\\x"))
    house.drain(destination)
    assert len(files(out)) == 2
    assert not list(tmp_path.glob("escaped*"))
    assert all(out in path.parents for path in files(out))


def test_nobody_else_may_list_patients(house, destination, out):
    umask = os.umask(0o022)
    try:
        house.owe("out", small())
        house.drain(destination)
    finally:
        os.umask(umask)
    modes = {path: path.stat().st_mode & 0o777 for path in [out, *out.rglob("*")]}
    assert {mode & 0o007 for mode in modes.values()} == {0}
    assert modes[out / "P1"] == 0o750


def test_a_link_in_the_folder_leads_nowhere_else(house, destination, out, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / "P1").symlink_to(elsewhere)
    (uid,) = house.owe("out", small())
    house.drain(destination)
    assert list(elsewhere.rglob("*")) == []
    assert house.rows()[uid] == Row("waiting", 1, "file_refused")


def test_the_folder_itself_may_be_a_link(house, destination, out, tmp_path):
    (tmp_path / "disk").mkdir()
    out.symlink_to(tmp_path / "disk")
    house.owe("out", small())
    assert house.drain(destination).delivered == 1


def test_what_stands_in_one_patients_way_is_nobody_elses(house, destination, out):
    """A file in place of a patient's folder: others are delivered, and the folder is not down."""
    out.mkdir()
    (out / "P1").write_bytes(b"")
    blocked, *free = house.owe("out", small(), *(small(PatientID="P2") for _ in range(5)))
    assert house.drain(destination).delivered == 5
    assert house.rows()[blocked] == Row("waiting", 1, "file_refused")
    assert {house.rows()[uid].state for uid in free} == {"delivered"}


def test_damaged_bytes_are_held_and_never_become_a_file(house, destination, out):
    data_set = small()
    (uid,) = house.owe("out", data_set)
    ((object_id,),) = house.query("SELECT id FROM objects")
    path = house.store.path_of(object_id)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    house.drain(destination)
    assert house.rows()[uid] == Row("held", 1, "payload_damaged")
    assert files(out) == []


def test_a_data_set_that_cannot_be_read_is_delivered_as_it_is(house, destination, out):
    data_set = small()
    junk = b"\xff" * 100
    (uid,) = house.owe("out", data_set, encoded=junk)
    assert house.drain(destination).delivered == 1
    (file,) = files(out)
    assert file == out / "unknown" / "unknown" / f"{uid}.dcm"
    assert file.read_bytes().endswith(junk)


def test_a_folder_that_cannot_be_made_is_down_and_nothing_is_charged(house, destination, out):
    out.write_text("a file stands where the folder should be")
    (uid,) = house.owe("out", small())
    house.drain(destination)
    assert house.rows()[uid].attempts == 0
    health = house.health("out")
    assert (health.up, health.reason) == (False, "folder_missing")
    out.unlink()
    house.make_all_due()
    assert house.drain(destination).delivered == 1
    assert house.health("out").up


def test_a_full_disk_leaves_no_half_file(house, destination, out, monkeypatch):
    def full(fd, data):
        os.write(fd, bytes(data[: len(data) // 2]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (uid,) = house.owe("out", small())
    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "_write_all", full)
        house.drain(destination)
    assert files(out) == []
    assert house.rows()[uid] == Row("waiting", 0, "folder_full")
    house.make_all_due()
    assert house.drain(destination).delivered == 1


def test_what_a_crash_left_behind_is_overwritten_by_the_retry(house, destination, out):
    (uid,) = house.owe("out", small())
    ((delivery, payload),) = house.query("SELECT id, payload_id FROM deliveries")
    left = out / "P1" / "1.2.3" / f".{payload}-{delivery}.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half" * 1000)
    assert house.drain(destination).delivered == 1
    (file,) = files(out)
    assert pydicom.dcmread(file).SOPInstanceUID == uid


def test_a_file_counts_only_once_its_folder_is_flushed(house, destination, out, monkeypatch):
    def fails(folder):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (uid,) = house.owe("out", small())
    with monkeypatch.context() as patched:
        patched.setattr(folder_module, "_sync", fails)
        house.drain(destination)
    assert house.rows()[uid] == Row("waiting", 0, "folder_failed")
    assert not house.health("out").up
    house.make_all_due()
    assert house.drain(destination).delivered == 1


def test_folders_are_flushed_once_for_a_batch(house, destination, out, monkeypatch):
    flushed = []
    real = folder_module._sync

    def sync(folder):
        flushed.append(folder)
        real(folder)

    monkeypatch.setattr(folder_module, "_sync", sync)
    house.owe("out", *(small() for _ in range(16)))
    house.drain(destination)
    study = out / "P1" / "1.2.3"
    assert flushed.count(study) == 1
    assert {out.parent, out, out / "P1", study} <= set(flushed)

"""Facts read from encoded bytes are what pydicom decodes; broken bytes give an error or a fact."""

from __future__ import annotations

import mmap
import random
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from rules.editing.schema import Edit, Prefix, Set
from rules.editing.schema_structure import Remove
from rules.edits import EditFailed, apply_edits
from rules.encoded.charsets import CharacterSet
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet, charset_of
from rules.encoded.forms import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from rules.encoded.level import NESTING_LIMIT, Level
from rules.encoded.reencode import CannotReencode, reencode
from rules.tags import parse_path

SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, "1.2.840.10008.1.2.4.50")
NUMBERS = {"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"}
UNREADABLE = (NotImplementedError, TypeError, ValueError, LookupError)
BROKEN = {"DICOMDIR-nooffset", "MR_truncated.dcm", "rtplan_truncated.dcm"}
UNJUDGED = "emri_small_jpeg_2k_lossless_too_short.dcm"


def test_every_value_of_every_file_is_pydicoms(sample):
    if sample.name == UNJUDGED:
        pytest.skip("pydicom reads nothing of it")
    data_set = sample.data_set
    try:
        compare(data_set, data_set.root, sample.decoded(), data_set.charset)
    except MalformedDataSet:
        assert sample.name in BROKEN


def compare(data_set: EncodedDataSet, level: Level, judge: Dataset, charset: CharacterSet) -> None:
    charset = charset_of(level, charset)
    for tag in map(int, judge.keys()):
        element = level.find(tag)
        assert element is not None, hex(tag)
        try:
            decoded = judge[tag]
        except UNREADABLE:
            continue
        vr = data_set.vr_of(level, tag, element)
        assert vr == decoded.VR or " or " in decoded.VR or tag == 0x7FE00010
        if decoded.VR == "SQ":
            items = list(level.items(element))
            assert len(items) == len(decoded.value)
            for item, judged in zip(items, decoded.value, strict=True):
                compare(data_set, item, judged, charset)
        elif isinstance(decoded.value, bytes):
            data = bytes(level.source[element.value : element.stop])
            assert data == decoded.value or element.is_undefined
        else:
            found = data_set.values_in(level, tag, element, charset)
            assert same(vr, list(found), decoded.value), hex(tag)


def same(vr: str, found: list[str], judged: Any) -> bool:
    wanted = list(judged) if isinstance(judged, MultiValue | list) else [judged]
    if wanted in ([None], [""]):
        wanted = []
    if len(found) != len(wanted):
        return False
    return all(alike(vr, one, other) for one, other in zip(found, wanted, strict=True))


def alike(vr: str, one: str, other: Any) -> bool:
    if vr == "AT":
        return one == f"{other.group:04X},{other.element:04X}"
    if vr in NUMBERS and one:
        try:
            return float(one) == pytest.approx(float(other), rel=1e-6, nan_ok=True)
        except ValueError:
            pass
    text = "" if other is None else str(other)
    # pydicom drops an empty last component group of a name
    return one.strip(" =") == text.strip(" \0=")


def test_a_nested_path_gives_the_values_of_all_items(samples):
    plan = samples["rtplan.dcm"].data_set
    path = parse_path("BeamSequence.ControlPointSequence.ControlPointIndex")
    assert plan.values(path) == ("0", "1")
    assert plan.vr(path) == "IS"
    assert plan.values(parse_path("BeamSequence")) == ("item 1",)
    assert plan.values(parse_path("BeamSequence.PatientID")) is None


def test_a_private_attribute_is_found_by_its_creator(samples):
    ct = samples["CT_small.dcm"].data_set
    assert ct.values(parse_path("0009,[GEMS_IDEN_01],01")) == ("GE_GENESIS_FF",)
    assert ct.values(parse_path("0009,[NOBODY],01")) is None


def test_absent_and_empty_differ(samples):
    ct = samples["CT_small.dcm"].data_set
    assert ct.values(parse_path("AccessionNumber")) == ()
    assert ct.values(parse_path("StudyComments")) is None
    assert ct.vr(parse_path("StudyComments")) is None


def test_a_mapped_file_can_be_closed_after_its_facts_are_read(samples):
    ct = samples["CT_small.dcm"]
    with mmap.mmap(-1, len(ct.content)) as mapped:
        mapped[:] = ct.content
        data_set = EncodedDataSet.read(mapped, ct.syntax, ct.offset)
        assert data_set.values(parse_path("PatientID")) == ("1CT1",)
        with data_set.view(128, 4) as magic:
            assert bytes(magic) == b"DICM"


def element(tag: str, vr: str, value: bytes) -> bytes:
    group, number = (int(part, 16).to_bytes(2, "little") for part in tag.split(","))
    return group + number + vr.encode() + len(value).to_bytes(2, "little") + value


def test_facts_before_damage_are_read_and_those_after_it_are_errors():
    sound = element("0008,0060", "CS", b"CT")
    broken = sound + b"\x10\x00\x20\x00LO\xff\xff12"
    data_set = EncodedDataSet.read(broken, EXPLICIT_LITTLE)
    assert data_set.values(parse_path("Modality")) == ("CT",)
    assert data_set.values(parse_path("StudyDate")) is None
    with pytest.raises(MalformedDataSet) as raised:
        data_set.values(parse_path("PatientID"))
    assert raised.value.offset == len(sound)


def test_an_element_out_of_order_is_found():
    mixed = element("0010,0020", "LO", b"12") + element("0008,0060", "CS", b"CT")
    data_set = EncodedDataSet.read(mixed, EXPLICIT_LITTLE)
    assert data_set.values(parse_path("Modality")) == ("CT",)


def test_a_backslash_within_a_character_separates_nothing():
    gb18030 = element("0008,0005", "CS", b"GB18030 ")
    name = "\u5f5a^a"  # its second byte in GB18030 is a backslash's
    encoded = name.encode("gb18030")
    data = gb18030 + element("0010,0010", "PN", encoded + b" " * (len(encoded) % 2))
    assert EncodedDataSet.read(data, EXPLICIT_LITTLE).values(parse_path("PatientName")) == (name,)


def nested(depth: int) -> bytes:
    opened = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return opened * depth + closed * depth + element("0040,1001", "SH", b"ok")


def test_deep_nesting_is_passed_over_but_not_entered():
    data_set = EncodedDataSet.read(nested(NESTING_LIMIT * 2), EXPLICIT_LITTLE)
    assert data_set.values(parse_path("RequestedProcedureID")) == ("ok",)
    with pytest.raises(MalformedDataSet, match="deep"):
        reencode(data_set, IMPLICIT_LITTLE)


def test_nesting_without_end_is_malformed():
    data_set = EncodedDataSet.read(nested(50_000), EXPLICIT_LITTLE)
    with pytest.raises(MalformedDataSet, match="deep"):
        data_set.values(parse_path("RequestedProcedureID"))


def test_a_deflate_bomb_is_refused_before_it_fills_the_memory():
    deflater = zlib.compressobj(level=1, wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(200)) + deflater.flush()
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    with pytest.raises(MalformedDataSet, match=f"inflates to over {1 << 26} bytes"):
        EncodedDataSet.read(bomb, DEFLATED)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 << 20


def test_what_deflates_as_pictures_do_may_be_large():
    deflater = zlib.compressobj(level=1, wbits=-15)
    noise = random.Random(3).randbytes(1 << 16)  # repeats beyond the window of deflate
    data = bytes.fromhex("10002000") + b"LO" + bytes.fromhex("0200") + b"P1"
    data += bytes.fromhex("e07f1000") + b"OW" + bytes(2) + (len(noise) * 1100).to_bytes(4, "little")
    deflated = deflater.compress(data)
    deflated += b"".join(deflater.compress(noise[n % 9 :] + noise[: n % 9]) for n in range(1100))
    deflated += deflater.flush()
    assert len(noise) * 1100 > 1 << 26
    assert EncodedDataSet.read(deflated, DEFLATED).values(parse_path("PatientID")) == ("P1",)


EDITS: list[Edit] = [
    Set.model_validate({"set": {"PatientID": "X", "BeamSequence.BeamName": "Y"}}),
    Prefix.model_validate({"prefix": {"StudyDescription": "Z"}}),
    Remove.model_validate({"remove": "private"}),
]


def use(content: bytes, syntax: str) -> None:
    """Everything that is done with an object; only the errors that are announced may come."""
    for task in (
        lambda ds: ds.values(parse_path("PatientName")),
        lambda ds: ds.values(parse_path("0009,[GEMS_IDEN_01],01")),
        lambda ds: ds.values(parse_path("ReferencedStudySequence.ReferencedSOPInstanceUID")),
        lambda ds: apply_edits(EDITS, ds, record=None),
        lambda ds: reencode(ds, IMPLICIT_LITTLE),
        lambda ds: reencode(ds, EXPLICIT_LITTLE),
    ):
        try:
            task(EncodedDataSet.read(content, syntax))
        except (MalformedDataSet, EditFailed, CannotReencode):
            continue


@given(content=st.binary(max_size=400), syntax=st.sampled_from(SYNTAXES))
def test_any_bytes_are_facts_or_malformed(content, syntax):
    use(content, syntax)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files_are_facts_or_malformed(samples, data):
    names = sorted(name for name, one in samples.items() if len(one.content) < 12_000)
    sample = samples[data.draw(st.sampled_from(names))]
    content = bytearray(sample.content[sample.offset :])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
        if not content:
            break
    use(bytes(content), sample.syntax)

"""An object made of the attributes that a test gives, encoded as it would come from a modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag as PydicomTag
from pydicom.uid import ExplicitVRLittleEndian

from rules.documents.problems import Mistake
from rules.encoded.data_set import EncodedDataSet
from rules.tags import AttributePath, Tag, parse_path

WHOLE = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
REAL = frozenset({"FD", "FL"})
CHARACTER_SET = "SpecificCharacterSet"
UTF8 = "ISO_IR 192"


def made_of(given: Mapping[str, tuple[str, ...]]) -> EncodedDataSet:
    """A data set with these values by attribute; () is present and empty. Texts beyond ASCII are
    encoded in UTF-8 unless the character set is given. Mistake for what cannot be encoded."""
    data_set = Dataset()
    beyond_ascii = any(not value.isascii() for values in given.values() for value in values)
    if beyond_ascii and CHARACTER_SET not in given:
        data_set.SpecificCharacterSet = UTF8
    for name, values in given.items():
        path = parse_path(name)
        try:
            _put(data_set, path, values)
        except (ValueError, OverflowError, TypeError):
            text = "\\".join(values)
            raise Mistake(f"{text!r} is no {path.vr} value", at=(name,)) from None
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, data_set)
    return EncodedDataSet.read(buffer.getvalue(), ExplicitVRLittleEndian)


def _put(data_set: Dataset, path: AttributePath, values: tuple[str, ...]) -> None:
    level = data_set
    for step in path.steps[:-1]:
        number = _number(level, step)
        if number not in level:
            level.add(DataElement(number, "SQ", [Dataset()]))
        level = level[number].value[0]
    vr = path.vr or "LO"
    value: Any
    if vr == "SQ":
        value = [Dataset() for _ in values]
    elif vr in WHOLE:
        value = [int(text) for text in values]
    elif vr in REAL:
        value = [float(text) for text in values]
    elif vr.startswith("O") or vr == "UN":
        value = "".join(values).encode()
    else:
        value = "\\".join(values)
    number = _number(level, path.tag)
    level.add(DataElement(number, vr, value, validation_mode=IGNORE))


def _number(level: Dataset, tag: Tag) -> int:
    if tag.creator is None:
        return tag.number
    block = level.private_block(tag.group, tag.creator, create=True)
    return int(PydicomTag(block.get_tag(tag.element)))

"""The edits that make pseudonyms: `hash`, `new_uid` and `shift_dates`.

What they make depends on a key of the site (PS3.15 annex E: without one, a dictionary undoes it):
the same value becomes the same pseudonym in every object, process and year, under that key.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, model_validator

from rules.documents.problems import Mistake
from rules.documents.reading import Section
from rules.editing.values import Paths, ReadablePath, WritablePath, several
from rules.resources import Key, resources_of
from rules.tags import AttributePath, parse_path

LONGEST: Final = {"AE": 16, "CS": 16, "SH": 16}
"""Characters of VRs that cannot hold a whole hash."""
HASH_LENGTH: Final = 52
HASHABLE: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"})
DATES: Final = frozenset({"DA", "DT"})

SomePaths = Annotated[tuple[WritablePath, ...], BeforeValidator(several)]


class Keyed(Section):
    """What the three have: the name of a key, and its secret where that is known."""

    key: str | None = Field(default=None, min_length=1)
    _secret: Key | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _known(self, info: ValidationInfo) -> Keyed:
        if self.key is not None:
            self._secret = resources_of(info).key(self.key)
        return self

    @property
    def secret(self) -> Key | None:
        return self._secret

    @property
    def fingerprint(self) -> str:
        """Stands for the key."""
        return self._secret.fingerprint if self._secret else ""


def _of_vr(paths: tuple[AttributePath, ...], vrs: frozenset[str], word: str, what: str) -> None:
    for index, path in enumerate(paths):
        if path.vr is not None and path.vr not in vrs:
            at = (word, index) if len(paths) > 1 else (word,)
            raise Mistake(f"{path} is no {what} (its VR is {path.vr})", at=at)


class Hashing(Keyed):
    """`length`: characters of the pseudonym, capitals and digits."""

    tag: Paths
    key: str = Field(min_length=1)
    length: int = Field(default=16, ge=8, le=HASH_LENGTH)

    @model_validator(mode="after")
    def _has_room(self) -> Hashing:
        _of_vr(self.tag, HASHABLE, "tag", "text that a pseudonym can stand for")
        for path in self.tag:
            most = LONGEST.get(path.vr or "", HASH_LENGTH)
            if self.length > most:
                message = f"{path} has room for {most} characters (its VR is {path.vr})"
                raise Mistake(message, at=("length",), suggestion=str(most))
        return self


class Hash(Section):
    """Replace every value by a pseudonym."""

    hashing: Hashing = Field(alias="hash")


class Renumbering(Keyed):
    """Without `tag`: every UID of the object, at every level."""

    key: str = Field(min_length=1)
    tag: SomePaths = ()
    except_: SomePaths = Field(default=(), alias="except")

    @model_validator(mode="after")
    def _of_uids(self) -> Renumbering:
        _of_vr(self.tag, frozenset({"UI"}), "tag", "UID")
        _of_vr(self.except_, frozenset({"UI"}), "except", "UID")
        return self


class NewUid(Section):
    """Give UIDs of our own in place of those that are there, also where they are referred to.
    UIDs that DICOM defines (classes, syntaxes …) stay."""

    renumbering: Renumbering = Field(alias="new_uid")


class Shifting(Keyed):
    """By `days`; or with a `key`, by 1 to `within` days into the past, the same for all objects
    with the same `by`. Without `tag`: every date of the object, at every level."""

    days: int | None = Field(default=None, ge=-100_000, le=100_000)
    by: ReadablePath = parse_path("PatientID")
    within: int = Field(default=365, ge=7, le=36_500)
    tag: SomePaths = ()
    except_: SomePaths = Field(default=(), alias="except")

    @model_validator(mode="after")
    def _one_way(self) -> Shifting:
        if (self.days is None) == (self.key is None):
            raise Mistake("expected days, or a key", suggestion="{days: -30}")
        if self.days == 0:
            raise Mistake("no days are no shift", at=("days",))
        for word, given in (("by", "by"), ("within", "within")):
            if self.days is not None and given in self.model_fields_set:
                raise Mistake(f"{word} goes with a key, not with days", at=(word,))
        _of_vr(self.tag, DATES, "tag", "date")
        _of_vr(self.except_, DATES, "except", "date")
        return self


class ShiftDates(Section):
    """Move dates by whole days. Times of day stay as they are."""

    shifting: Shifting = Field(alias="shift_dates")

"""What a C-STORE can be answered: PS3.4 table B.2-1 and PS3.7 annex C, one line each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a C-STORE is answered: status, words for the sender (at most 64), a metric label."""

    status: int
    slug: str
    comment: str | None = None


SUCCESS = Answer(status=0x0000, slug="stored")
NO_ROOM = Answer(status=0xA700, slug="out_of_resources", comment="no room; send again later")
STORE_AWAY = Answer(status=0xA700, slug="store_away", comment="the store is away; send again later")
NOT_WRITTEN = Answer(status=0x0110, slug="processing_failure", comment="could not be stored")
DUPLICATE = Answer(status=0x0111, slug="duplicate", comment="this SOP instance came before")
INVALID_INSTANCE = Answer(
    status=0x0117, slug="invalid_instance", comment="Affected SOP Instance UID is not a UID"
)
CLASS_MISMATCH = Answer(
    status=0xA900, slug="class_mismatch", comment="data set is of another SOP class"
)
INSTANCE_MISMATCH = Answer(
    status=0xA900, slug="instance_mismatch", comment="data set is another SOP instance"
)
MALFORMED = Answer(
    status=0xC000, slug="malformed", comment="data set is not of this transfer syntax"
)
CLASS_CONFLICT = Answer(
    status=0x0122, slug="class_not_negotiated", comment="SOP class is not the context's"
)
NO_DATA_SET = Answer(status=0xC000, slug="no_data_set", comment="C-STORE-RQ without a data set")

"""Reconciliation of a destination: when it is asked for what it should have, and what counts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from router.config_flow import Schedule, windows_of
from router.config_values import Duration, DurationOrZero, OrOff, Settings
from rules.windows import Windows

Compared = Literal[
    "SOPClassUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PatientID",
    "AccessionNumber",
]


class Reconcile(Settings):
    """When a destination is asked for what it should have (C-FIND), and what it may change."""

    every: Annotated[Duration | None, OrOff()] = Field(
        86400.0, description="how often; `off`: by hand alone"
    )
    since: Duration = Field(7 * 86400.0, description="look for what was received so long ago …")
    after: DurationOrZero = Field(
        3600.0, description="… and delivered at least so long ago: archives take their time"
    )
    between: Schedule = Field((), description="when it may be asked; default: at any time")
    pace: int = Field(60, ge=1, le=6000, description="studies that are looked for in a minute")
    resend: bool = Field(False, description="send again what is missing and kept here")
    may_change: tuple[Compared, ...] = Field(
        (), description="attributes that it corrects: no finding if they differ"
    )

    @property
    def windows(self) -> Windows | None:
        """When it may be asked; None: at any time."""
        return windows_of(self.between)

    def is_open(self, now: int) -> bool:
        """Whether it may be asked at this time, in milliseconds since the epoch."""
        windows = self.windows
        return windows is None or windows.is_open(now)

    @model_validator(mode="after")
    def _range_is_there(self) -> "Reconcile":
        if self.since <= self.after:
            raise ValueError("`since` must be longer ago than `after`")
        return self

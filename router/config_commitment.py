"""Proof that what was delivered is kept: asked of destinations, given to modalities."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from router.config_outcomes import Reasons
from router.config_values import (
    AeTitle,
    Duration,
    DurationOrZero,
    Host,
    Name,
    OrOff,
    PeerPort,
    Settings,
)

Policy = Literal["own", "all", "any", "reference"]


class QuerySettings(Settings):
    """Where a destination answers queries, if not where it stores."""

    ae_title: AeTitle | None = Field(None, description="its AE title; default: as for storing")
    host: Host | None = Field(None, description="its name or address; default: as for storing")
    port: PeerPort | None = Field(None, description="its port; default: as for storing")


class DestinationCommitment(Settings):
    """How a destination proves that it keeps what it was sent."""

    by: Literal["report", "query", "none"] = Field(
        "report", description="`report`: storage commitment; `query`: C-FIND; `none`: not at all"
    )
    age: DurationOrZero = Field(30.0, description="how long objects gather for one request …")
    size: int = Field(500, ge=1, le=5000, description="… or how many, whichever comes first")
    within: Duration = Field(86400.0, description="time to answer; then it is asked anew")
    attempts: int = Field(3, ge=1, le=100, description="requests that may stay unanswered")
    refusals: int = Field(3, ge=1, le=100, description="refusals before an object is held")
    wait: Duration = Field(600.0, description="before it is asked again for what it refused")
    listen: DurationOrZero = Field(2.0, description="how long we stay for a report after asking")
    call: Annotated[Duration | None, OrOff()] = Field(
        3600.0, description="how often we call it to hear reports that it owes; `off`: never"
    )
    fall_back: Literal["query", "hold"] = Field(
        "hold", description="when it never answers: look by C-FIND, or hold the object"
    )
    reasons: Reasons = Field(
        {}, description='failure reasons that it means otherwise, as `"0110": send again`'
    )
    query: QuerySettings = Field(QuerySettings(), description="where it answers queries")


class ModalityCommitment(Settings):
    """When those that ask get our promise that their objects are kept."""

    policy: Policy = Field("own", description="whose word our promise rests on")
    reference: Name | None = Field(
        None, description="the destination whose word it is, for `policy: reference`"
    )
    within: Duration = Field(86400.0, description="time for that; what is not kept then is refused")
    report_for: Duration = Field(3 * 86400.0, description="how long we try to deliver a report")

    @model_validator(mode="after")
    def _reference_is_named(self) -> "ModalityCommitment":
        if (self.policy == "reference") != (self.reference is not None):
            raise ValueError("`policy: reference` and `reference` belong together")
        return self

"""Destinations of a site: where objects go, how fast, and how patiently."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from router.config_commitment import DestinationCommitment
from router.config_flow import Limits, Schedule, windows_of
from router.config_outcomes import Outcomes
from router.config_reconcile import Reconcile
from router.config_tls import ClientTls
from router.config_values import (
    AeTitle,
    Duration,
    Host,
    MaxPduLength,
    Name,
    PeerPort,
    ResolvedPath,
    Settings,
    TlsVersion,
)
from rules.tags import parse_path
from rules.windows import Windows

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class DestinationTls(ClientTls):
    """TLS towards a destination; its certificate is always verified."""

    server_name: Host | None = Field(
        None, description="the name its certificate must carry; default: `host`"
    )
    check_hostname: bool = Field(True, description="whether the certificate must carry that name")
    min_version: TlsVersion = Field("1.2", description="the oldest TLS version to speak")


class DestinationTimeouts(Settings):
    """How long to wait for a destination before its silence counts as a failure."""

    connect: Duration = Field(10.0, description="for the TCP connection and the TLS handshake")
    acse: Duration = Field(30.0, description="for the answer to an association or release request")
    dimse: Duration = Field(60.0, description="for the response to an object that was sent")
    network: Duration = Field(60.0, description="for the peer to take the next bytes")


class DicomDestination(Settings):
    """A Storage SCP."""

    ae_title: AeTitle = Field(description="its AE title, the called one")
    host: Host = Field(description="its name or address")
    port: PeerPort = Field(104, description="its port")
    calling_ae_title: AeTitle = Field("DICOM_ROUTER", description="the AE title we call with")
    associations: int = Field(2, ge=1, le=64, description="how many at once, over all workers")
    tls: DestinationTls | None = Field(None, description="speak TLS; `{}` for the defaults")
    max_pdu_length: MaxPduLength = Field(1024 * 1024, description="the longest PDU we take")
    idle: Duration = Field(30.0, description="how long an association is kept open with no work")
    reuse: int = Field(10_000, ge=1, description="objects after which an association is renewed")
    timeouts: DestinationTimeouts = Field(
        DestinationTimeouts(), description="how long to wait for it"
    )


def check_layout(value: str) -> str:
    """A layout stays inside its folder, names attributes that exist, and never overwrites."""
    if value.startswith("/") or "\\" in value or ".." in value.split("/"):
        raise ValueError("a layout is a relative path with / between folders and without ..")
    for position, part in enumerate(_PLACEHOLDER.split(value)):
        if position % 2:
            parse_path(part)
        elif "{" in part or "}" in part:
            raise ValueError("a layout has placeholders such as {PatientID}")
    if "{SOPInstanceUID}" not in value:
        raise ValueError("a layout holds {SOPInstanceUID}, or objects would overwrite each other")
    return value


class FolderDestination(Settings):
    """A folder of Part 10 files."""

    path: ResolvedPath = Field(description="the folder; it is made when missing")
    layout: Annotated[str, AfterValidator(check_layout)] = Field(
        "{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm",
        description="where in it an object goes: keywords in braces",
    )
    writers: int = Field(1, ge=1, le=64, description="how many write at once")


class Retry(Settings):
    """When a delivery that failed is tried again: its patience, not the destination's health."""

    first: Duration = Field(30.0, description="the wait after the first failure")
    factor: float = Field(2.0, ge=1, le=10, description="each further wait is so many times longer")
    most: Duration = Field(600.0, description="the longest wait")
    give_up_after: Duration = Field(
        3 * 86400.0, description="age at which a delivery that keeps failing is failed"
    )
    object_attempts: int = Field(
        3,
        ge=1,
        description="attempts when the object itself seems to be the cause (status C000, aborts)",
    )

    @model_validator(mode="after")
    def _waits_grow(self) -> "Retry":
        if self.most < self.first:
            raise ValueError("`most` is shorter than `first`")
        return self


class Probe(Settings):
    """When a destination that is down is tried again, by one association at a time."""

    first: Duration = Field(15.0, description="the wait after it went down")
    factor: float = Field(2.0, ge=1, le=10, description="each further wait is so many times longer")
    most: Duration = Field(900.0, description="the longest wait")

    @model_validator(mode="after")
    def _waits_grow(self) -> "Probe":
        if self.most < self.first:
            raise ValueError("`most` is shorter than `first`")
        return self


class Destination(Settings):
    """Where objects go: exactly one of `dicom` and `folder`."""

    name: Name = Field(description="what rules, metrics and traces call it")
    dicom: DicomDestination | None = Field(None, description="a Storage SCP")
    folder: FolderDestination | None = Field(None, description="a folder of Part 10 files")
    retry: Retry = Field(Retry(), description="when a delivery that failed is tried again")
    probe: Probe = Field(Probe(), description="when a destination that is down is tried again")
    schedule: Schedule = Field((), description="when it is sent to; default: at any time")
    limits: Limits | None = Field(None, description="how much it gets in a second")
    outcomes: Outcomes = Field(
        {}, description='C-STORE statuses that it means otherwise, as `"0111": delivered`'
    )
    commitment: DestinationCommitment | None = Field(
        None, description="how it proves that it keeps what it was sent; default: not at all"
    )
    reconcile: Reconcile | None = Field(
        None, description="when it is asked for what it should have; default: by hand alone"
    )
    lane: Name | None = Field(
        None, description="one of `lanes`: whose workers serve it; default: the first"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Destination":
        if (self.dicom is None) == (self.folder is None):
            raise ValueError("a destination has exactly one of `dicom` and `folder`")
        if self.folder is not None and self.proof is not None:
            raise ValueError("`commitment` is for a `dicom` destination: a folder proves nothing")
        if self.folder is not None and self.reconcile is not None:
            raise ValueError("`reconcile` is for a `dicom` destination: a folder answers no query")
        return self

    @property
    def proof(self) -> DestinationCommitment | None:
        """How it proves that it keeps what it was sent; None: delivered is enough."""
        wanted = self.commitment
        return None if wanted is None or wanted.by == "none" else wanted

    @property
    def may_change(self) -> frozenset[str]:
        """Keywords of attributes that are its own business."""
        return frozenset(self.reconcile.may_change if self.reconcile else ())

    @property
    def kind(self) -> Literal["dicom", "folder"]:
        return "folder" if self.dicom is None else "dicom"

    @property
    def windows(self) -> Windows | None:
        """When it is sent to; None: at any time."""
        return windows_of(self.schedule)

    @property
    def slots(self) -> int:
        """How many drains may work on it at once, over all workers."""
        if self.dicom is not None:
            return self.dicom.associations
        assert self.folder is not None  # _one_kind
        return self.folder.writers

"""Sources of a site: who may send, and how their requests to commit are answered."""

from pydantic import Field, model_validator

from router.config_commitment import Policy
from router.config_destinations import DestinationTls
from router.config_values import AeTitle, Duration, Host, Name, Network, PeerPort, Settings


class SourceCommitment(Settings):
    """Where a source takes reports, and what they promise; as in `commitment` where it is empty."""

    ae_title: AeTitle | None = Field(
        None, description="its AE title; default: the one it calls with"
    )
    host: Host | None = Field(
        None, description="its name or address; default: it hears us on its own association only"
    )
    port: PeerPort = Field(104, description="its port")
    tls: DestinationTls | None = Field(None, description="speak TLS; `{}` for the defaults")
    policy: Policy | None = Field(None, description="whose word our promise rests on")
    reference: Name | None = Field(None, description="the destination for `policy: reference`")
    within: Duration | None = Field(None, description="time for that")

    @model_validator(mode="after")
    def _reference_is_named(self) -> "SourceCommitment":
        if (self.policy == "reference") != (self.reference is not None):
            raise ValueError("`policy: reference` and `reference` belong together")
        return self


class Source(Settings):
    """Who may send: every given condition must hold."""

    name: Name = Field(description="what limits, metrics and traces call it")
    ae_title: AeTitle | None = Field(None, description="its calling AE title; default: any")
    hosts: tuple[Network, ...] = Field(
        (), description="addresses and networks it sends from; default: any"
    )
    listeners: tuple[Name, ...] = Field((), description="listeners it may use; default: all")
    tls_subject: str | None = Field(
        None, min_length=1, description="subject its TLS certificate must have, as `CN=ct01,O=…`"
    )
    max_associations: int | None = Field(
        None, ge=1, description="associations open at once; default: the listener's limit"
    )
    commitment: SourceCommitment = Field(
        SourceCommitment(), description="how its requests to commit are answered"
    )

    @model_validator(mode="after")
    def _says_who(self) -> "Source":
        if self.ae_title is None and not self.hosts and self.tls_subject is None:
            raise ValueError("a source needs `ae_title`, `hosts` or `tls_subject`")
        return self

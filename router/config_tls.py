"""TLS towards a server of ours or a destination: whom we trust, and who we are."""

from typing import Self

from pydantic import Field, model_validator

from router.config_values import ExistingFile, Secret, Settings


class ClientTls(Settings):
    """TLS towards another; its certificate is always verified."""

    ca: ExistingFile | None = Field(
        None, description="CA certificates (PEM) to verify it with; default: the system's"
    )
    cert: ExistingFile | None = Field(None, description="our certificate (PEM), if it wants one")
    key: ExistingFile | None = Field(None, description="the private key of `cert` (PEM)")
    key_password: Secret | None = Field(None, repr=False, description="pass phrase of `key`")

    @model_validator(mode="after")
    def _certificate_has_key(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` belong together")
        return self

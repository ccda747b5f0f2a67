"""Where the objects' bytes lie: a folder, or a bucket of an S3 server and how it is reached."""

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from router.config_values import (
    Duration,
    ExistingFile,
    ResolvedPath,
    Secret,
    Settings,
    resolve_path,
)

SPOOL = "var/spool"
"""Where objects are received whose store is no folder."""


class StoreFolder(Settings):
    """An object store in a folder; in the file it is written `file:PATH`."""

    path: ResolvedPath

    def __str__(self) -> str:
        return f"file:{self.path}"


class StoreBucket(Settings):
    """An object store in a bucket; in the file it is written `s3://BUCKET/PREFIX`."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def check_endpoint(value: str) -> str:
    """`http://HOST:PORT` or `https://HOST:PORT`; credentials have their own settings."""
    if not _ENDPOINT.fullmatch(value):
        raise ValueError("an endpoint is http://HOST:PORT or https://HOST:PORT, and nothing more")
    return value.rstrip("/")


class S3Settings(Settings):
    """How the server of an `s3://` store is reached."""

    endpoint: Annotated[str, AfterValidator(check_endpoint)] | None = Field(
        None, description="the server's URL; default: Amazon's in `region`"
    )
    region: str = Field("us-east-1", min_length=1, description="the bucket's region")
    access_key_id: Secret | None = Field(
        None, repr=False, description="who we are; default: the environment's AWS_… or the role"
    )
    secret_access_key: Secret | None = Field(None, repr=False, description="and its secret")
    session_token: Secret | None = Field(
        None, repr=False, description="the token of temporary credentials"
    )
    path_style: bool = Field(
        True, description="the bucket's name in the path; `false`: in the host's name"
    )
    ca: ExistingFile | None = Field(
        None, description="CA certificates (PEM) of the server; default: the system's"
    )
    timeout: Duration = Field(30.0, description="for one request with its repetitions, about")
    checksum: Literal["sha256", "crc64nvme"] = Field(
        "sha256", description="what the server compares of what we write"
    )

    @model_validator(mode="after")
    def _whole_credentials(self) -> "S3Settings":
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("`access_key_id` and `secret_access_key` go together")
        return self


def parse_store(value: object) -> object:
    """`file:PATH` or `s3://BUCKET/PREFIX` as the block it stands for."""
    if not isinstance(value, str):
        return value
    if value.startswith("file:") and value != "file:":
        return {"path": value.removeprefix("file:").removeprefix("//")}
    found = _BUCKET.fullmatch(value)
    if found is None:
        raise ValueError("a store is file:PATH or s3://BUCKET/PREFIX")
    return {"bucket": found[1], "prefix": found[2] or ""}


def resolve_spool(value: Path | None, info: ValidationInfo) -> Path | None:
    """The spool's folder; None where it is the store's own."""
    if value is None and isinstance(info.data.get("store"), StoreBucket):
        value = Path(SPOOL)
    return None if value is None else resolve_path(value, info)


_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+/?")
_BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.\-_]{1,61}[a-z0-9])(?:/([A-Za-z0-9._\-/]*?))?/?")

StoreSetting: TypeAlias = Annotated[
    StoreFolder | StoreBucket,
    BeforeValidator(parse_store),
    WithJsonSchema({"type": "string", "pattern": "^(file:.+|s3://.+)"}),
]
SpoolSetting: TypeAlias = Annotated[Path | None, AfterValidator(resolve_spool)]

"""The small values a site's YAML is made of: durations, sizes, AE titles, paths, secrets.

Each is a type for a pydantic field. A path or a secret is resolved against the folder of the
site's file, which `router.config.load_site` hands in as the validation context `folder`;
a model that is built in Python, without a context, keeps what it was given.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from rules.documents.reading import Mistake


class Settings(BaseModel):
    """A block of the site's file: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class OrOff:
    """Marks a block that may also be `off`: the field is then None."""

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(
            lambda value: None if value in ("off", False) else value, handler(source)
        )

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(core_schema), {"enum": ["off", False]}]}


def parse_duration(value: object) -> object:
    """Seconds from `250ms`, `30s`, `10m`, `24h`, `3d`, `1h30m`; a bare number is seconds."""
    if isinstance(value, bool) or not isinstance(value, str):
        return _refuse_bool(value, "a duration such as 30s, 10m, 24h or 3d")
    text = value.strip().lower()
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{value!r} is not a duration: write 30s, 10m, 24h or 3d")
    if text[-1].isdigit():
        return float(text)
    return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text))


def parse_size(value: object) -> object:
    """Bytes from `16KiB`, `1MiB`, `10GB`; a bare number is bytes. KB, MB … are powers of 1000."""
    if isinstance(value, bool) or not isinstance(value, str):
        return _refuse_bool(value, "a size such as 1MiB or 10GB")
    found = _SIZE.fullmatch(value.strip().lower())
    if found is None:
        raise ValueError(f"{value!r} is not a size: write 16KiB, 1MiB or 10GB")
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgt".index(prefix or " "))


def check_network(value: str) -> str:
    """An IP address or network; host names are refused, since admission asks no name server."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            f"{value!r} is not an address or a network: write 10.1.0.7 or 10.1.0.0/16"
        ) from None
    raise Mistake(f"{value!r} is an address inside a network", suggestion=str(meant))


def check_ae_title(value: str) -> str:
    """An AE title of PS3.5 6.2: 1 to 16 characters, no backslash, outer spaces do not count."""
    title = value.strip(" ")
    if not title or len(title) > 16:
        raise ValueError("an AE title has 1 to 16 characters")
    if "\\" in title or not (title.isascii() and title.isprintable()):
        raise ValueError("an AE title is printable ASCII without a backslash")
    return title


def check_host(value: str) -> str:
    """A host name or an address; whether it exists is found out when it is used."""
    if not (_is_address(value) if ":" in value else _HOST.fullmatch(value)):
        raise ValueError("expected a host name or an IP address, without port and spaces")
    return value


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def check_name(value: str) -> str:
    """A name: what metrics, traces and the command line show."""
    if not _NAME.fullmatch(value):
        raise ValueError("a name has 1 to 64 letters, digits, '.', '_' or '-', no spaces")
    return value


def resolve_path(value: Path, info: ValidationInfo) -> Path:
    """A relative path counts from the folder of the site's file."""
    folder = _folder(info)
    if folder is None:
        return value
    try:
        return (folder / value.expanduser()).absolute()
    except RuntimeError:
        raise ValueError(f"nobody here has the home folder of {value}") from None


def existing_file(value: Path, info: ValidationInfo) -> Path:
    """A file that must be there when the site is loaded."""
    path = resolve_path(value, info)
    if _folder(info) is None:
        return path
    try:
        there = path.is_file()
    except OSError:  # too long a name, a folder that is closed to us
        there = False
    if not there:
        raise ValueError(f"there is no file {path}")
    return path


def read_secret(value: object, info: ValidationInfo) -> object:
    """A secret itself, or `file:PATH` for the first line of a file that holds it."""
    if not isinstance(value, str) or not value.startswith("file:"):
        return value
    path = resolve_path(Path(value.removeprefix("file:")), info)
    try:
        return path.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.__class__.__name__
        raise ValueError(f"cannot read the secret from {path}: {why}") from None


def read_ledger_url(value: object, info: ValidationInfo) -> object:
    """A database URL, or `file:PATH` of one; a relative SQLite path becomes absolute."""
    url = read_secret(value, info)
    if not isinstance(url, str):
        return url
    if url.startswith("sqlite:///"):
        name = url.removeprefix("sqlite:///")
        if name in ("", ":memory:"):
            raise ValueError("the ledger must outlive the process: name a file, sqlite:///PATH")
        return f"sqlite:///{resolve_path(Path(name), info)}"
    if url.startswith("postgresql+psycopg://"):
        return url
    raise ValueError("a ledger is sqlite:///PATH or postgresql+psycopg://USER:PASSWORD@HOST/NAME")


def _refuse_bool(value: object, wanted: str) -> object:
    if isinstance(value, bool):
        raise ValueError(f"write {wanted}")
    return value


def _folder(info: ValidationInfo) -> Path | None:
    folder = (info.context or {}).get("folder")
    return folder if isinstance(folder, Path) else None


_NUMBER = r"\d{1,15}(?:\.\d{1,9})?"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION_PART = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")
_DURATION = re.compile(rf"{_NUMBER}|(?:{_NUMBER}(?:ms|s|m|h|d|w))+")
_SIZE = re.compile(rf"({_NUMBER})\s*(?:([kmgt])?(i)?b)?")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DURATION_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string", "examples": ["30s", "3d"]}]}
_SIZE_SCHEMA = {"anyOf": [{"type": "integer"}, {"type": "string", "examples": ["1MiB", "10GB"]}]}

_TEN_YEARS = 10 * 365 * 86400

#: Seconds.
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0, le=_TEN_YEARS),
    WithJsonSchema(_DURATION_SCHEMA),
]
#: Seconds; nothing is a value too.
DurationOrZero = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(ge=0, le=_TEN_YEARS),
    WithJsonSchema(_DURATION_SCHEMA),
]
#: Seconds; long enough that a deleted file which a power cut brings back is known to be old.
HistoryTime = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(ge=3600, le=_TEN_YEARS),
    WithJsonSchema(_DURATION_SCHEMA),
]
#: Bytes.
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0), WithJsonSchema(_SIZE_SCHEMA)]
Name = Annotated[str, AfterValidator(check_name)]
AeTitle = Annotated[str, AfterValidator(check_ae_title)]
#: A listening port: 0 lets the system choose one.
ListeningPort = Annotated[int, Field(ge=0, le=65535)]
PeerPort = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, AfterValidator(check_host)]
ResolvedPath = Annotated[Path, AfterValidator(resolve_path)]
ExistingFile = Annotated[Path, AfterValidator(existing_file)]
#: Give its field `repr=False`.
Secret = Annotated[str, BeforeValidator(read_secret)]
#: May hold a password: give its field `repr=False`.
LedgerUrl = Annotated[str, BeforeValidator(read_ledger_url)]
#: An address or a network, with its prefix length.
Network = Annotated[str, AfterValidator(check_network)]
#: A PDU's maximum length: what DCMTK's smallest is, and a cap that no peer was seen to choke on.
MaxPduLength = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=4096, le=16 * 1024 * 1024),
    WithJsonSchema(_SIZE_SCHEMA),
]
TlsVersion = Literal["1.2", "1.3"]

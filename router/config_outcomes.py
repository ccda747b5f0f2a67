"""Where a destination means something else by a status, or a reason, than the standard does."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

_DIGITS = frozenset("0123456789ABCDEFabcdef")


def parse_code(value: object) -> object:
    """A status or reason from its four hexadecimal digits, which YAML must see as text."""
    if isinstance(value, str) and len(value) == 4 and set(value) <= _DIGITS:
        return int(value, 16)
    raise ValueError(f'a status is four hexadecimal digits in quotes, as "0111", not {value!r}')


Code = Annotated[
    int,
    BeforeValidator(parse_code),
    WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f]{4}$"}),
]
#: C-STORE status to what becomes of the delivery.
Outcomes = Mapping[Code, Literal["delivered", "retry", "fail", "hold"]]
#: Failure reason of storage commitment to what is done about the object.
Reasons = Mapping[Code, Literal["send again", "wait", "ask again", "hold"]]

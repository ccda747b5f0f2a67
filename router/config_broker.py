"""How the processes of a site reach each other: the broker's URL, and the lanes of its queues."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from router.config_tls import ClientTls
from router.config_values import Name, read_secret

MOST_LANES = 16
"""Each lane is a queue that the broker replicates and every egress worker asks."""

_URL = re.compile(r"amqps?://[^\s/;]+(/[^\s;]*)?")


def read_broker_url(value: object, info: ValidationInfo) -> object:
    """`memory://`, `amqp://…`, `amqps://…`, several hosts separated by `;`, or `file:PATH`."""
    url = read_secret(value, info)
    if not isinstance(url, str):
        return url
    hosts = url.split(";")
    if url != "memory://" and not all(_URL.fullmatch(host) for host in hosts):
        # The value itself may hold a password: it is not repeated.
        raise ValueError("a broker is memory://, or amqps://USER:PASSWORD@HOST/VHOST")
    if url != "memory://" and not all(map(_has_host, hosts)):
        raise ValueError(
            "this URL names no host, or no port: in a password / : @ # and the like are written "
            "as %2F %3A %40 %23"
        )
    if len({host.partition(":")[0] for host in hosts}) > 1:
        raise ValueError("the hosts of one broker are reached all by amqp:// or all by amqps://")
    return url


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:  # a port that is no number, or brackets that do not belong there
        return False


def check_broker_tls(value: ClientTls, info: ValidationInfo) -> ClientTls:
    """Settings that would have no effect are a mistake."""
    broker = info.data.get("broker", "amqps:")  # a mistake of its own is told elsewhere
    if value != ClientTls() and not broker.startswith("amqps:"):
        raise ValueError("this is for a broker that is reached by amqps://")
    return value


def check_lanes(lanes: tuple[str, ...]) -> tuple[str, ...]:
    """At least one, and each once."""
    if not lanes:
        raise ValueError("destinations need a lane: leave `lanes` out, or name at least one")
    if len(lanes) > MOST_LANES:
        raise ValueError(f"at most {MOST_LANES} lanes: each is a queue of its own")
    if len(set(lanes)) < len(lanes):
        raise ValueError("a lane is named twice")
    return lanes


#: May hold a password: give its field `repr=False`.
BrokerUrl = Annotated[str, BeforeValidator(read_broker_url)]
BrokerTls = Annotated[ClientTls, AfterValidator(check_broker_tls)]
Lanes = Annotated[
    tuple[Name, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    AfterValidator(check_lanes),
]

"""Who may open an association: a pure decision on the request, the peer and what is open already.

A refusal carries what A-ASSOCIATE-RJ says (PS3.8 table 9-21) and a bounded word for metrics.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.config import Listener, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What is known of a requestor when its A-ASSOCIATE-RQ has been read."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    tls_subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """May associate; `source` is the name it is counted under, or None where none are listed."""

    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """May not: result, source and reason of A-ASSOCIATE-RJ, and `slug` for metrics and logs."""

    result: int
    source: int
    reason: int
    slug: str


CALLED_AE_UNKNOWN = Refused(result=1, source=1, reason=7, slug="called_ae_title_unknown")
CALLING_AE_UNKNOWN = Refused(result=1, source=1, reason=3, slug="calling_ae_title_unknown")
ADDRESS_NOT_ALLOWED = Refused(result=1, source=1, reason=3, slug="address_not_allowed")
TLS_SUBJECT_NOT_ALLOWED = Refused(result=1, source=1, reason=3, slug="tls_subject_not_allowed")
LISTENER_NOT_ALLOWED = Refused(result=1, source=1, reason=3, slug="listener_not_allowed")
TOO_MANY = Refused(result=2, source=3, reason=2, slug="too_many_associations")
TOO_MANY_FROM_SOURCE = Refused(result=2, source=3, reason=2, slug="too_many_from_source")


def admit(
    caller: Caller,
    listener: Listener,
    sources: Sequence[Source],
    *,
    open_here: int,
    open_by_source: Mapping[str, int],
) -> Admitted | Refused:
    """Decide on one request. `open_here` counts the listener's other associations.

    `open_by_source` counts by what `Admitted.source` named, or by the peer's address where no
    sources are listed.
    """
    if open_here >= listener.max_associations:
        return TOO_MANY
    if not listener.answers_to(caller.called_ae_title):
        return CALLED_AE_UNKNOWN
    limit = listener.max_associations_per_source
    if not sources:
        if limit is not None and open_by_source.get(caller.address, 0) >= limit:
            return TOO_MANY_FROM_SOURCE
        return Admitted(source=None)
    found = _find_source(caller, listener, sources)
    if isinstance(found, Refused):
        return found
    most = found.max_associations if found.max_associations is not None else limit
    if most is not None and open_by_source.get(found.name, 0) >= most:
        return TOO_MANY_FROM_SOURCE
    return Admitted(source=found.name)


def _find_source(caller: Caller, listener: Listener, sources: Sequence[Source]) -> Source | Refused:
    """The first source that fits; otherwise the refusal of the one that came nearest."""
    nearest = (0, CALLING_AE_UNKNOWN)
    for source in sources:
        refusal = _misfit(caller, listener, source)
        if refusal is None:
            return source
        nearest = max(nearest, refusal, key=lambda item: item[0])
    return nearest[1]


def _misfit(caller: Caller, listener: Listener, source: Source) -> tuple[int, Refused] | None:
    """None if the caller is this source; otherwise how far it got, and why not."""
    if source.ae_title is not None and source.ae_title != caller.calling_ae_title:
        return (0, CALLING_AE_UNKNOWN)
    if source.listeners and listener.name not in source.listeners:
        return (1, LISTENER_NOT_ALLOWED)
    if source.hosts and not any(_host_fits(host, caller.address) for host in source.hosts):
        return (2, ADDRESS_NOT_ALLOWED)
    if source.tls_subject is not None and not _subject_fits(source.tls_subject, caller.tls_subject):
        return (3, TLS_SUBJECT_NOT_ALLOWED)
    return None


def _subject_fits(pattern: str, subject: str | None) -> bool:
    return subject is not None and fnmatch.fnmatchcase(subject, pattern)


def _host_fits(host: str, address: str) -> bool:
    """Whether the peer's address lies in `host`, an address or a network.

    An IPv4 peer of a dual-stack socket shows as ::ffff:a.b.c.d and counts as IPv4.
    """
    peer = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    network = _network(host)
    return peer.version == network.version and peer in network


@functools.lru_cache(maxsize=1024)
def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(host)

"""The site: one YAML file as frozen models. It is passed in, never imported as a value.

`load_site` refuses a file whole, with every mistake's file, line, key and a suggestion
(`rules.documents.reading.DocumentError`). Durations are seconds and sizes bytes once loaded.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from router.config_broker import BrokerTls, BrokerUrl, Lanes
from router.config_codecs import Codecs
from router.config_commitment import DestinationCommitment, ModalityCommitment
from router.config_destinations import (
    Destination,
    DestinationTimeouts,
    DestinationTls,
    DicomDestination,
    FolderDestination,
    Probe,
    Retry,
)
from router.config_flow import Loops
from router.config_keys import Keys
from router.config_performed import PerformedSteps
from router.config_sources import Source, SourceCommitment
from router.config_store import (
    SPOOL,
    S3Settings,
    SpoolSetting,
    StoreBucket,
    StoreFolder,
    StoreSetting,
)
from router.config_tls import ClientTls
from router.config_values import (
    AeTitle,
    Duration,
    DurationOrZero,
    ExistingFile,
    HistoryTime,
    Host,
    LedgerUrl,
    ListeningPort,
    MaxPduLength,
    Name,
    OrOff,
    ResolvedPath,
    Secret,
    Settings,
    Size,
    TlsVersion,
)
from router.config_vault import Vault, shared_secrets
from router.config_workers import ROOM_FOR_MORE, Workers
from rules.documents.problems import one_of_each
from rules.documents.reading import DocumentError, Mistake, load_document, suggest

__all__ = [
    "Codecs",
    "Destination",
    "DestinationCommitment",
    "DestinationTimeouts",
    "DestinationTls",
    "DicomDestination",
    "FolderDestination",
    "FreeSpace",
    "Listener",
    "ListenerTimeouts",
    "ListenerTls",
    "Log",
    "Loops",
    "MetricsEndpoint",
    "ModalityCommitment",
    "Probe",
    "Retention",
    "Retry",
    "Site",
    "Source",
    "SourceCommitment",
    "S3Settings",
    "StoreBucket",
    "StoreFolder",
    "Workers",
    "load_site",
    "warnings",
]


class ListenerTls(Settings):
    """TLS on a listener."""

    cert: ExistingFile = Field(description="our certificate and its chain (PEM)")
    key: ExistingFile = Field(description="the private key of `cert` (PEM)")
    key_password: Secret | None = Field(None, repr=False, description="pass phrase of `key`")
    ca: ExistingFile | None = Field(None, description="CA certificates (PEM) of the senders")
    client: Literal["require", "request", "none"] = Field(
        "none", description="whether senders must, may or need not show a certificate"
    )
    min_version: TlsVersion = Field("1.2", description="the oldest TLS version to speak")

    @model_validator(mode="after")
    def _clients_can_be_verified(self) -> "ListenerTls":
        if self.client != "none" and self.ca is None:
            raise ValueError(f"`client: {self.client}` needs `ca` to verify certificates with")
        return self


class ListenerTimeouts(Settings):
    """How long a sender may be silent before the association is aborted."""

    artim: Duration = Field(30.0, description="for the association request, and to close (ARTIM)")
    idle: Duration = Field(600.0, description="between two messages")
    network: Duration = Field(60.0, description="within a message, or to take our answer")


class Listener(Settings):
    """A port we listen on."""

    name: Name = Field(description="what sources, rules, metrics and traces call it")
    ae_title: AeTitle = Field(description="our AE title on it")
    bind: Host = Field("0.0.0.0", description="the local address to listen on")
    port: ListeningPort = Field(11112, description="the port; 0 lets the system choose")
    called_ae_titles: Literal["any"] | tuple[AeTitle, ...] = Field(
        (), description="called AE titles it answers to; default: `ae_title` alone; or `any`"
    )
    max_associations: int = Field(100, ge=1, description="associations open at once")
    max_associations_per_source: int | None = Field(
        None, ge=1, description="associations open at once from one source; default: no limit"
    )
    tls: ListenerTls | None = Field(None, description="speak TLS")
    sop_classes: Literal["any", "standard"] = Field(
        "any", description="storage SOP classes: private and unknown ones too, or standard ones"
    )
    max_pdu_length: MaxPduLength = Field(1024 * 1024, description="the longest PDU we take")
    timeouts: ListenerTimeouts = Field(ListenerTimeouts(), description="how long to wait")
    priority: Literal["stat", "high", "routine", "low"] = Field(
        "routine", description="how soon what comes in here is routed"
    )

    def answers_to(self, called_ae_title: str) -> bool:
        """Whether an association called by this title (outer spaces stripped) is for us."""
        if self.called_ae_titles == "any":
            return True
        return called_ae_title in (self.called_ae_titles or (self.ae_title,))


class FreeSpace(Settings):
    """Water marks of the disk that objects are received on."""

    low: Size = Field(10**9, description="below it, new objects are refused with A700")
    high: Size = Field(2 * 10**9, description="above it, they are accepted again")

    @model_validator(mode="after")
    def _marks_in_order(self) -> "FreeSpace":
        if self.high < self.low:
            raise ValueError("`high` is below `low`")
        return self


class Retention(Settings):
    """How long objects are kept that nobody is owed any more."""

    delivered: DurationOrZero = Field(86400.0, description="after the last delivery has ended")
    history: Annotated[HistoryTime | None, OrOff()] = Field(
        90 * 86400.0, description="what became of them, after that; `off`: for ever"
    )


class MetricsEndpoint(Settings):
    """Where Prometheus scrapes."""

    bind: Host = Field("127.0.0.1", description="the local address to listen on")
    port: ListeningPort = Field(9464, description="the port; 0 lets the system choose")


class Log(Settings):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least severe event that is logged"
    )
    format: Literal["console", "json"] = Field("console", description="for people or for machines")


def _at_least_one(listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
    if not listeners:
        raise ValueError("a router listens somewhere: name at least one listener")
    return listeners


class Site(Settings):
    """Everything a router needs to know about where it stands."""

    # Not min_length: it would also complain about a list whose only item is faulty.
    listeners: Annotated[tuple[Listener, ...], AfterValidator(_at_least_one)] = Field(
        description="who we are"
    )
    sources: tuple[Source, ...] = Field((), description="who may send; none listed: anyone")
    destinations: tuple[Destination, ...] = Field((), description="where objects go")
    rules: ResolvedPath = Field(Path("rules"), description="the folder of rule files")
    rules_shadow: ResolvedPath | None = Field(
        None, description="a folder of rules that run beside, and only note what they would do"
    )
    on_no_match: str = Field(
        "hold", description="what becomes of an unrouted object: `hold`, `discard`, a destination"
    )
    duplicates: Literal["route", "ignore identical", "refuse"] = Field(
        "route", description="what becomes of an object whose SOP instance came before"
    )
    durability: Literal["local", "shared", "unsafe"] = Field(
        "local", description="where an object must be safe before it is acknowledged"
    )
    store: StoreSetting = Field(
        "file:var/store",  # type: ignore[assignment]
        description="where the objects' bytes lie: `file:PATH` or `s3://BUCKET/PREFIX`",
    )
    s3: S3Settings = Field(S3Settings(), description="how an `s3://` store is reached")
    spool: SpoolSetting = Field(
        None, description="the folder that objects are received into; default: the store's"
    )
    ledger: LedgerUrl = Field(
        "sqlite:///var/ledger.db", repr=False, description="the database's URL"
    )
    broker: BrokerUrl = Field(
        "memory://", repr=False, description="how the stages ring each other: the broker's URL"
    )
    broker_tls: BrokerTls = Field(ClientTls(), description="whom `amqps://` trusts, who we are")
    lanes: Lanes = Field(("main",), description="queues that destinations share")
    free_space: FreeSpace = Field(FreeSpace(), description="water marks of the receiving disk")
    retention: Retention = Field(Retention(), description="how long delivered objects are kept")
    commitment: ModalityCommitment = Field(
        ModalityCommitment(), description="what modalities are promised that ask us to commit"
    )
    performed_steps: PerformedSteps | None = Field(
        None, description="hear from modalities what they have made (MPPS); default: no"
    )
    loops: Loops = Field(Loops(), description="when an object that keeps coming back is held")
    metrics: Annotated[MetricsEndpoint | None, OrOff()] = Field(
        MetricsEndpoint(), description="where Prometheus scrapes; `off` for nowhere"
    )
    log: Log = Field(Log(), description="what is logged, and how")
    workers: Workers = Field(Workers(), description="how much works at once in one process")
    codecs: Codecs = Field(Codecs(), description="what changing pixels may cost")
    keys: Keys = Field({}, repr=False, description="secrets that edits name, by name")
    vault: Vault | None = Field(None, description="keeps who became whom; default: there is none")

    @property
    def spool_path(self) -> Path:
        """The folder that objects are received into: the store's own, unless it is elsewhere."""
        if self.spool is not None:
            return self.spool
        return self.store.path if isinstance(self.store, StoreFolder) else Path(SPOOL)

    @property
    def spool_is_apart(self) -> bool:
        """Whether what is received must be carried into a store elsewhere."""
        return not isinstance(self.store, StoreFolder) or self.spool_path != self.store.path

    def destination(self, name: str) -> Destination | None:
        return next((d for d in self.destinations if d.name == name), None)

    @property
    def destination_names(self) -> tuple[str, ...]:
        return tuple(d.name for d in self.destinations)

    @property
    def slots(self) -> int:
        """How many drains all destinations together allow at once."""
        return sum(d.slots for d in self.destinations)

    @property
    def egress_workers(self) -> int:
        """How many drains one process runs at once: enough that none waits for another, nor for one
        of a destination that is added while it runs. Threads start when they are needed."""
        return self.workers.egress or self.slots + ROOM_FOR_MORE


def load_site(path: Path, environ: Mapping[str, str] = os.environ) -> Site:
    """The site in this file; DocumentError with every mistake in it.

    `${NAME}` in a value is replaced from `environ`, and `$$` stands for one `$`.
    """
    document = load_document(path)
    document = document.with_text(lambda text: _with_environment(text, environ))
    site = document.validate(Site, context={"folder": path.absolute().parent})
    flaws = [document.problem(f.key, f.message, f.suggestion) for f in _cross_check(site)]
    if flaws:
        raise DocumentError(one_of_each(flaws))
    return site


def warnings(site: Site) -> list[str]:
    """What is allowed but should not be overlooked, a sentence each."""
    found = []
    if not site.sources:
        found.append("no `sources` are listed: anyone who reaches a listener may send")
    if not site.destinations:
        found.append("no `destinations` are listed: every object stays unrouted")
    if site.durability == "unsafe":
        found.append("`durability: unsafe` acknowledges objects that a crash may lose")
    for destination in site.destinations:
        peer, proof = destination.dicom, destination.proof
        titles = [source.ae_title for source in site.sources]
        if proof and peer and site.sources and peer.ae_title not in titles and None not in titles:
            found.append(
                f"{destination.name} is asked to commit, and {peer.ae_title} is not among the "
                "`sources`: its reports are rejected when it calls us"
            )
    if site.egress_workers < site.slots:
        few = f"`workers.egress: {site.egress_workers}` is less than the destinations' {site.slots}"
        found.append(f"{few} associations: one that hangs may keep others waiting")
    if site.on_no_match == "discard":
        found.append("`on_no_match: discard` deletes objects that no route matches")
    return found


@dataclass(frozen=True, slots=True)
class _Flaw:
    key: tuple[str | int, ...]
    message: str
    suggestion: str | None = None


def _cross_check(site: Site) -> Iterator[_Flaw]:
    yield from _repeated("listeners", [item.name for item in site.listeners])
    yield from _repeated("sources", [item.name for item in site.sources])
    yield from _repeated("destinations", list(site.destination_names))
    yield from _shared_ports(site.listeners)
    listeners = [item.name for item in site.listeners]
    for index, source in enumerate(site.sources):
        for nth, name in enumerate(source.listeners):
            if name not in listeners:
                key = ("sources", index, "listeners", nth)
                yield _Flaw(key, f"there is no listener {name}", suggest(name, listeners))
        yield from _reference(site, ("sources", index, "commitment"), source.commitment.reference)
    yield from _reference(site, ("commitment",), site.commitment.reference)
    yield from (_Flaw(("vault", "keys", n), t) for n, t in shared_secrets(site.vault, site.keys))
    for index, name in enumerate(site.destination_names):
        if name in UNROUTED_WORDS:
            message = f"{name} is a word of `on_no_match`, not a name"
            yield _Flaw(("destinations", index, "name"), message)
    for index, destination in enumerate(site.destinations):
        if destination.lane not in (None, *site.lanes):
            message = f"there is no lane {destination.lane} in `lanes`"
            guess = suggest(destination.lane or "", site.lanes)
            yield _Flaw(("destinations", index, "lane"), message, guess)
    if site.on_no_match not in (*UNROUTED_WORDS, *site.destination_names):
        known = [*UNROUTED_WORDS, *site.destination_names]
        message = f"expected hold, discard or a destination, found {site.on_no_match!r}"
        yield _Flaw(("on_no_match",), message, suggest(site.on_no_match, known))


def _reference(site: Site, block: tuple[str | int, ...], name: str | None) -> Iterator[_Flaw]:
    if name is not None and name not in site.destination_names:
        message = f"there is no destination {name}"
        yield _Flaw((*block, "reference"), message, suggest(name, site.destination_names))


def _repeated(block: str, names: list[str]) -> Iterator[_Flaw]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield _Flaw((block, index, "name"), f"the name {name} is taken already")


def _shared_ports(listeners: tuple[Listener, ...]) -> Iterator[_Flaw]:
    for index, listener in enumerate(listeners):
        for earlier in listeners[:index]:
            everywhere = {earlier.bind, listener.bind} & {"0.0.0.0", "::"}
            same_place = earlier.bind == listener.bind or everywhere
            if listener.port and earlier.port == listener.port and same_place:
                message = f"listener {earlier.name} has port {listener.port} already"
                yield _Flaw(("listeners", index, "port"), message)


def _with_environment(text: str, environ: Mapping[str, str]) -> str:
    def replacement(found: re.Match[str]) -> str:
        name = found["name"]
        if found[0] == "$$":
            return "$"
        if name is None:
            raise ValueError("a reference to the environment is written ${NAME}; write $$ for a $")
        if name not in environ:
            raise Mistake(
                f"the environment has no variable {name}", suggestion=suggest(name, environ)
            )
        return environ[name]

    return _REFERENCE.sub(replacement, text)


UNROUTED_WORDS = ("hold", "discard")
_REFERENCE = re.compile(r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")

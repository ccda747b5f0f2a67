"""Objects of the ledger as rules see them: what is known of one, and its header in the store."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from router.cli.options import Exit, fail, open_ledger, open_site
from router.cli.render import local
from router.cli.rules.naming import named
from router.config import Site
from router.ledger import StoredObject, queries
from router.ledger.queries import TraceBy
from router.routing.headers import Header, open_header
from router.store.opening import open_store
from rules.encoded.data_set import EncodedDataSet
from rules.facts import Facts
from rules.routes import RouteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownObject:
    """What the ledger says became of an object, without values of the object."""

    object_id: str
    sop_instance_uid: str
    received_at: int
    sender: str
    state: str
    reason: str | None
    rules_version: str | None
    detail: str | None

    def lines(self) -> list[str]:
        """For people."""
        why = f", {self.reason}" if self.reason else ""
        by = f", by rules {self.rules_version}" if self.rules_version else ""
        told = [
            f"object {self.object_id}, SOP instance {self.sop_instance_uid}",
            f"received {local(self.received_at)} from {self.sender}; now {self.state}{why}{by}",
        ]
        return [*told, f"because {self.detail}"] if self.detail else told


def open_known(
    config: Path | None, name: str, open_until: ExitStack
) -> tuple[KnownObject, Facts, EncodedDataSet]:
    """The newest object of this SOP instance, or of this id; the end of the command if there is
    none, or its bytes are gone."""
    site = open_site(config)
    with open_ledger(site) as ledger, ledger.read() as connection:
        known, stored = _known(connection, name)
    header = _header(site, stored, open_until)
    return known, header.facts, header.editable


def table_for(config: Path | None, folder: Path | None, version: str | None) -> RouteTable:
    """The rules in force; or those of a folder, or of a version."""
    site = open_site(config)
    with open_ledger(site) as ledger, ledger.read() as connection:
        name = version or (str(folder) if folder is not None else "in-force")
        found = named(site, connection, name)
    return found.load(site)


def _known(connection: Connection, name: str) -> tuple[KnownObject, StoredObject]:
    for by in (TraceBy.OBJECT_ID, TraceBy.SOP_INSTANCE_UID):
        traces = queries.trace(connection, name, by, limit=1)
        if traces:
            break
    else:
        fail(Exit.FAILED, f"{name} is neither a file nor an object that the router knows")
    stored, told = traces[0].object, [one for one in traces[0].history if one.detail]
    return (
        KnownObject(
            object_id=stored.id,
            sop_instance_uid=stored.sop_instance_uid,
            received_at=stored.received_at,
            sender=f"{stored.calling_ae_title or '?'} at {stored.peer_address or '?'}",
            state=stored.state.value,
            reason=stored.reason,
            rules_version=stored.rules_version,
            detail=told[-1].detail if told else None,
        ),
        stored,
    )


def _header(site: Site, stored: StoredObject, open_until: ExitStack) -> Header:
    try:
        return open_until.enter_context(open_header(open_store(site), stored))
    except FileNotFoundError:
        fail(
            Exit.FAILED,
            f"{stored.id}: its bytes are deleted; `dicom-router trace` tells what is known",
        )
    except OSError as error:
        fail(Exit.UNAVAILABLE, f"{stored.id}: cannot be read: {error}")

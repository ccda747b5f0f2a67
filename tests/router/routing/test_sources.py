"""What only the network knew of a sender reaches the rules: through the file, not the ledger."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from router.dicom.pdus import AAssociateRq, UserIdentity, UserInformation
from router.ingress.reception import Provenance, Reception
from router.ingress.scp import user_of
from router.ledger import ObjectState, ReceivedObject, StoredObject
from router.routing.headers import open_header
from router.store import DirectoryStore, Spool
from rules.loading import rules_of_texts
from rules.routes import match

RULES = rules_of_texts(
    {"r.yaml": "routes: [{name: it, send_to: there, when: {source.user: radiology}}]"}
)
PROVENANCE = Provenance(
    listener="main",
    association_id="a",
    peer_address="10.1.2.3",
    calling_ae_title="CT01",
    called_ae_title="ROUTER",
)


def request(identity: UserIdentity | None) -> AAssociateRq:
    return AAssociateRq(
        called_ae_title="ROUTER",
        calling_ae_title="CT01",
        presentation_contexts=(),
        user_information=UserInformation(user_identity=identity),
    )


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (None, None),
        (UserIdentity(identity_type=1, primary=b"radiology"), "radiology"),
        (UserIdentity(identity_type=2, primary=b"r\xc3\xb6ntgen ", secondary=b"x"), "röntgen"),
        (UserIdentity(identity_type=1, primary=b""), None),
        (UserIdentity(identity_type=1, primary=b"a\nb"), None),
        (UserIdentity(identity_type=3, primary=b"ticket"), None),
        (UserIdentity(identity_type=5, primary=b"token"), None),
        (UserIdentity(identity_type=1, primary=b"x" * 1000), "x" * 256),
    ],
)
def test_the_name_a_sender_gives_itself(identity: UserIdentity | None, name: str | None) -> None:
    assert user_of(request(identity)) == name


@pytest.mark.parametrize(("user", "routed"), [("radiology", True), ("other", False), (None, False)])
def test_rules_can_ask_for_it(tmp_path: Path, user: str | None, routed: bool) -> None:
    spool = Spool(DirectoryStore(tmp_path))
    data_set = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    encoded = io.BytesIO()
    pydicom.dcmwrite(encoded, data_set, implicit_vr=False, little_endian=True)
    reception = Reception(
        spool,
        replace(PROVENANCE, user=user),
        sop_class_uid=data_set.SOPClassUID,
        sop_instance_uid=data_set.SOPInstanceUID,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    reception.write([memoryview(encoded.getvalue())])
    received = reception.finish(sync=False)
    absent = dict.fromkeys(StoredObject._fields)
    known = {name: getattr(received, name) for name in ReceivedObject._fields}
    stored = StoredObject(**{**absent, **known, "state": ObjectState.RECEIVED})
    with open_header(spool.store, stored) as header:
        assert match(RULES, header.facts).unrouted is not routed
        assert header.facts.source.user_name == user
        assert header.facts.received is not None

"""`rules explain`, `rules diff` and `rules shadow` with objects that the router has received."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

from router.config import Loops, load_site
from router.dicom.part10 import read_file_meta
from router.ingress.reception import Provenance, Reception
from router.ledger import Ledger, objects
from router.routing.batch import Policy, Routing
from router.rulebook import Shadow
from router.store import DirectoryStore, Spool
from rules.loading import load_rules, rules_of_texts
from rules.routes import RouteTable

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
PROVENANCE = Provenance(
    listener="main",
    association_id="0" * 32,
    peer_address="10.1.0.9",
    calling_ae_title="CT09",
    called_ae_title="ROUTER",
)
NEXT = """
routes:
  - {name: everything, send_to: pacs}
"""


class Received:
    """A site whose router has received a CT and an MR, and routed them by the site's rules."""

    def __init__(self, site_file: Path) -> None:
        site = load_site(site_file, {})
        self.store = DirectoryStore(site_file.parent / "var" / "store")
        self.ledger = Ledger(site.ledger)
        self.ledger.upgrade()
        self.spool = Spool(self.store)
        self.table = load_rules(site.rules, destinations=None)

    def take(self, path: Path) -> tuple[str, str]:
        """The object's id and its SOP instance."""
        content = path.read_bytes()
        meta, offset = read_file_meta(content)
        reception = Reception(
            self.spool,
            PROVENANCE,
            sop_class_uid=meta.media_storage_sop_class_uid,
            sop_instance_uid=meta.media_storage_sop_instance_uid,
            transfer_syntax_uid=meta.transfer_syntax_uid,
        )
        reception.write([memoryview(content[offset:])])
        received = reception.finish(sync=False)
        with self.ledger.write() as connection:
            objects.insert_received(connection, [received])
        return received.id, meta.media_storage_sop_instance_uid

    def route(self, object_id: str, shadow: RouteTable | None = None) -> None:
        policy = Policy(on_no_match="hold", ignore_identical=False, loops=Loops())
        Routing(
            ledger=self.ledger,
            spool=self.spool,
            rules=lambda: self.table,
            policy=policy,
            observer=Shadow(lambda: shadow, self.ledger),
        ).route([object_id])


@pytest.fixture
def received(site_file: Path, call: Any) -> Iterator[Received]:
    received = Received(site_file)
    assert call("rules", "reload", "-c", site_file).code == 0
    yield received
    received.ledger.dispose()


def test_an_object_that_went_nowhere_says_why(call: Any, site_file: Path, received: Received):
    object_id, uid = received.take(CT)
    received.route(object_id)
    for name in (object_id, uid):
        said = call("rules", "explain", name, "-c", site_file)
        assert said.code == 0
        lines = said.out.splitlines()
        assert lines[1] == f"  object {object_id}, SOP instance {uid}"
        assert "from CT09 at 10.1.0.9; now unrouted, no_route_matched, by rules" in lines[2]
        assert lines[3:] == [
            "  no     CT to pacs",
            "           source.calling_ae_title: wanted one_of [CT01, CT02], found CT09",
            "  no     chest to ai",
            "           BodyPartExamined: wanted value CHEST, found absent",
            "  no route matches: the site's on_no_match decides",
        ]
        assert len(lines) < 24
    [told] = call("rules", "explain", object_id, "-c", site_file, "--json").json
    assert told["known"]["state"] == "unrouted"
    assert [one["matched"] for one in told["routes"]] == [False, False]


def test_rules_in_force_decide_not_those_in_the_files(
    call: Any, site_file: Path, received: Received
):
    object_id, _ = received.take(CT)
    rules = site_file.parent / "rules" / "10-routes.yaml"
    rules.write_text(NEXT)
    assert "no     CT to pacs" in call("rules", "explain", object_id, "-c", site_file).out
    said = call("rules", "explain", object_id, "-c", site_file, "--rules", rules.parent)
    assert "match  everything" in said.out
    version = received.table.version
    call("rules", "reload", "-c", site_file)
    assert "match  everything" in call("rules", "explain", object_id, "-c", site_file).out
    said = call("rules", "explain", object_id, "-c", site_file, "--version", version)
    assert "no     CT to pacs" in said.out


def test_an_edit_that_holds_is_told(call: Any, site_file: Path, received: Received):
    rules = site_file.parent / "rules" / "10-routes.yaml"
    rules.write_text(
        "routes:\n- {name: r, send_to: pacs, edits: [{copy: {from: StationName, to: StudyID}}]}\n"
        "- {name: s, send_to: ai, edits: [{copy: {from: PatientComments, to: StudyID}}]}\n"
    )
    said = call("rules", "explain", CT, "-c", site_file)
    assert "  to pacs after 1 edit, routine: r" in said.out.splitlines()
    assert "  held   s, for ai: PatientComments is absent" in said.out.splitlines()


def test_what_waits_for_its_study_says_so(call: Any, site_file: Path):
    rules = site_file.parent / "rules" / "10-routes.yaml"
    rules.write_text(
        "routes:\n- {name: whole, send_to: ai, wait_for: {study: 60s}, "
        "when: {Modality: CT, study.objects: {above: 9}}}\n- {name: again, send_to: ai}\n"
    )
    lines = call("rules", "explain", CT, "-c", site_file, "--all").out.splitlines()
    assert lines[1:5] == [
        "  match  whole, when its study is there",
        "           yes  Modality: wanted value CT, found CT",
        "           yes  study.objects: wanted above 9, found not known until the study is there",
        "  match  again",
    ]
    assert lines[5:] == [
        "  to ai, routine: whole",
        "  nothing more: again, whose destinations get it already",
    ]


def test_what_is_not_there_cannot_be_explained(call: Any, site_file: Path, received: Received):
    assert call("rules", "explain", "1.2.3", "-c", site_file).code == 1
    assert call("rules", "explain", "none.dcm", "-c", site_file).code == 2
    object_id, _ = received.take(CT)
    received.store.delete([object_id])
    said = call("rules", "explain", object_id, "-c", site_file)
    assert said.code == 1
    assert "its bytes are deleted" in said.err


def test_of_many_routes_the_nearest_are_shown(call: Any, site_file: Path):
    rules = site_file.parent / "rules" / "10-routes.yaml"
    routes = "".join(
        f"- {{name: r{n}, send_to: pacs, when: {{Modality: {'CT' if n == 33 else 'MR'}, "
        f"StationName: S{n}}}}}\n"
        for n in range(40)
    )
    rules.write_text(f"routes:\n{routes}- {{name: all, send_to: ai}}\n")
    lines = call("rules", "explain", CT, "-c", site_file).out.splitlines()
    assert "  no     r33" in lines
    assert "  match  all" in lines
    assert "  …      29 routes that fit less: --all shows them" in lines
    everything = call("rules", "explain", CT, "-c", site_file, "--all").out.splitlines()
    assert sum(line.startswith("  no ") for line in everything) == 40
    assert "           yes  Modality: wanted value CT, found CT" in everything


def test_diff_as_written_and_for_recent_objects(call: Any, site_file: Path, received: Received):
    received.take(CT)
    mr, _ = received.take(MR)
    rules = site_file.parent / "rules" / "10-routes.yaml"
    rules.write_text("routes:\n- {name: CT to pacs, when: {Modality: MR}, send_to: [pacs]}\n")
    said = call("rules", "diff", "-c", site_file, "--against", "recent")
    assert said.code == 0
    assert said.out.splitlines()[1:] == [
        "  changed: CT to pacs (when)",
        "  removed: chest to ai",
        "2 objects: 1 as before",
        "different  objects",
        "routed           1",
        "object                            different  before -> after",
        f"{mr}  routed     no route -> pacs",
    ]
    told = call("rules", "diff", "-c", site_file, "--against", "recent", "-n", "1", "--json").json
    assert told["counts"] == {"routed": 1}
    told = call("rules", "diff", "-c", site_file, "--against", "recent", "--since", "0s", "--json")
    assert told.json["counts"] == {}
    told = call("rules", "diff", "-c", site_file, "--against", MR, "--against", CT, "--json").json
    assert [(one["object"], one["kind"]) for one in told["cases"]] == [(str(MR), "routed")]


def test_diff_of_the_same(call: Any, site_file: Path, received: Received):
    said = call("rules", "diff", "in-force", site_file.parent / "rules", "-c", site_file)
    assert said.out.splitlines()[1:] == ["  no route is different"]
    assert call("rules", "diff", "nothing", "-c", site_file).code == 1
    assert call("rules", "diff", "--against", "none.dcm", "-c", site_file).code == 2


def test_shadow_shows_what_it_would_have_done(call: Any, site_file: Path, received: Received):
    assert call("rules", "shadow", "-c", site_file).code == 1
    object_id, _ = received.take(CT)
    received.route(object_id, rules_of_texts({"10.yaml": NEXT}))
    said = call("rules", "shadow", "-c", site_file)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[1].split()[2:] == ["routed", "1"]
    assert lines[-1].split()[2:] == [object_id, "routed", "no", "route", "->", "pacs"]
    told = call("rules", "shadow", "-c", site_file, "--json").json
    assert [(case["object_id"], case["kind"]) for case in told["cases"]] == [(object_id, "routed")]
    assert call("rules", "shadow", "--forget", "-c", site_file).code == 0
    assert call("rules", "shadow", "-c", site_file).code == 1

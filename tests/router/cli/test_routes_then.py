"""The routes of a version of the rules, as they were written then."""

from router.cli.routes_then import RouteThen, routes_then
from router.ledger import Ledger, versions

TEXTS = {
    "10-broken.yaml": "routes: [",
    "20-other.yaml": "routes: {name: a map, of: something}\n",
    "30-good.yaml": """\
routes:
  - name: everything
    send_to: [pacs]
  - name: some
    when:
      StudyDescription: "CT, thorax"
      any: [{Modality: CT}, {Modality: {one_of: [MR, PT]}}]
    edits: [{prefix: {PatientID: "EH- "}}, {set: {StudyID: ""}}]
    send_to: [pacs]
""",
}


def test_routes_are_told_as_they_were_written(busy: Ledger):
    with busy.write() as connection:
        versions.activate(connection, "rules-2", TEXTS)
    wanted = [("rules-2", "everything"), ("rules-2", "some"), ("rules-2", "gone"), (None, "some")]
    with busy.read() as connection:
        found = routes_then(connection, [*wanted, ("never", "some")])
    assert found == {
        ("rules-2", "everything"): RouteThen(
            name="everything", file="30-good.yaml", when="it matches every object", edits=()
        ),
        ("rules-2", "some"): RouteThen(
            name="some",
            file="30-good.yaml",
            when='StudyDescription: "CT, thorax", '
            "any: [{Modality: CT}, {Modality: {one_of: [MR, PT]}}]",
            edits=('prefix: {PatientID: "EH- "}', 'set: {StudyID: ""}'),
        ),
    }

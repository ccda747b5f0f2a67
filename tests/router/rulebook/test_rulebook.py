"""The rules in force: what changes them, what does not, and that it is whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router import metrics
from router.config import Site, load_site
from router.ledger import Ledger, destinations, versions
from router.rulebook import Rulebook
from rules.documents.reading import DocumentError
from rules.facts import Facts, FileFacts, MappingAttributes, SourceFacts
from rules.routes import match

SITE = """\
listeners: [{name: main, ae_title: ROUTER}]
destinations:
  - {name: pacs, folder: {path: pacs}}
  - {name: ai, folder: {path: ai}}
"""
ONE = "routes: [{name: one, send_to: pacs}]\n"
TWO = "routes: [{name: two, send_to: ai}]\n"


class Stand:
    """A site on disk with its ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site_file = folder / "site.yaml"
        self.rules_file = folder / "rules" / "10.yaml"
        self.rules_file.parent.mkdir()
        self.site_file.write_text(SITE)
        self.rules_file.write_text(ONE)
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.ledger.upgrade()

    def book(self, who: str = "w1", *, leads: bool = True) -> Rulebook:
        site = load_site(self.site_file, {})
        return Rulebook(self.site_file, site, ledger=self.ledger, who=who, leads=lambda: leads)

    def opened(self, who: str = "w1", *, leads: bool = True) -> Rulebook:
        book = self.book(who, leads=leads)
        book.open()
        return book

    def sources(self) -> list[str]:
        with self.ledger.read() as connection:
            return [one.source for one in versions.activations(connection, 99)]

    def roll_back(self, version: str) -> None:
        with self.ledger.write() as connection:
            kept = versions.get(connection, version)
            assert kept is not None
            versions.activate(connection, version, kept.texts, source="rollback")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(tmp_path)
    yield stand
    stand.ledger.dispose()


def routes(book: Rulebook) -> list[str]:
    return [one.route.name for one in book.table().routes]


def settle(book: Rulebook) -> None:
    """Files are taken up when they are at rest: seen alike by two looks."""
    book.look()
    book.look()


def test_the_files_are_in_force_from_the_start(stand: Stand):
    book = stand.opened()
    assert routes(book) == ["one"]
    with stand.ledger.read() as connection:
        newest = versions.in_force(connection)
        assert newest is not None
        assert (newest.version, newest.source, newest.who) == (
            book.table().version,
            "files",
            "w1",
        )
        assert [one.name for one in destinations.all_health(connection)] == ["ai", "pacs"]


def test_files_that_changed_are_taken_up_when_they_are_at_rest(stand: Stand):
    book = stand.opened()
    stand.rules_file.write_text(TWO)
    book.look()
    assert routes(book) == ["one"]
    book.look()
    assert routes(book) == ["two"]
    assert stand.sources() == ["files", "files"]


def test_a_change_under_a_symbolic_link_is_seen(stand: Stand):
    """As Kubernetes swaps a volume: all files at once, by one link."""
    for name, text in (("before", ONE), ("after", TWO)):
        (stand.folder / name).mkdir()
        (stand.folder / name / "10.yaml").write_text(text)
    stand.rules_file.unlink()
    (stand.rules_file.parent / "..data").symlink_to(stand.folder / "before")
    stand.rules_file.symlink_to(Path("..data") / "10.yaml")
    book = stand.opened()
    swapped = stand.rules_file.parent / "..data_tmp"
    swapped.symlink_to(stand.folder / "after")
    swapped.rename(stand.rules_file.parent / "..data")
    settle(book)
    assert routes(book) == ["two"]


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("rules/10.yaml", "routes: [{name: two, send_to: ia}]\n"),
        ("rules/10.yaml", "routes: [{name: two"),
        ("site.yaml", SITE.replace("folder", "fodler")),
        ("site.yaml", SITE.replace("- {name: pacs, folder: {path: pacs}}", "")),
    ],
)
def test_a_mistake_leaves_everything_as_it_was(stand: Stand, broken: str, text: str):
    book = stand.opened()
    site, refused = book.site(), metrics.RELOADS.labels("refused")._value.get()
    (stand.folder / broken).write_text(text)
    settle(book)
    assert routes(book) == ["one"]
    assert book.site() == site
    assert metrics.FILES_REFUSED._value.get() == 1
    assert metrics.RELOADS.labels("refused")._value.get() == refused + 1
    settle(book)  # told once, not every second
    assert metrics.RELOADS.labels("refused")._value.get() == refused + 1
    (stand.folder / "site.yaml").write_text(SITE)
    stand.rules_file.write_text(TWO)
    settle(book)
    assert routes(book) == ["two"]
    assert metrics.FILES_REFUSED._value.get() == 0


def test_rules_and_a_new_destination_come_together_in_either_order(stand: Stand):
    book = stand.opened()
    stand.rules_file.write_text("routes: [{name: three, send_to: research}]\n")
    settle(book)
    assert routes(book) == ["one"]
    stand.site_file.write_text(SITE + "  - {name: research, folder: {path: research}}\n")
    settle(book)
    assert routes(book) == ["three"]
    assert book.site().destination_names == ("pacs", "ai", "research")


def test_what_can_change_changes_and_the_rest_waits(stand: Stand):
    book = stand.opened()
    told: list[Site] = []
    book.when_site_changes(told.append)
    text = SITE.replace("ROUTER", "OTHER").replace("{path: ai}", "{path: elsewhere}")
    stand.site_file.write_text(text + "sources: [{name: ct, ae_title: CT}]\n")
    settle(book)
    assert [site.sources[0].name for site in told] == ["ct"]
    (destination,) = [one for one in book.site().destinations if one.name == "ai"]
    assert destination.folder is not None
    assert destination.folder.path.name == "elsewhere"
    assert book.site().listeners[0].ae_title == "ROUTER"


def test_who_does_not_lead_follows(stand: Stand):
    leader, other = stand.opened(), stand.opened("w2", leads=False)
    stand.rules_file.write_text(TWO)
    settle(other)
    assert routes(other) == ["one"]
    settle(leader)
    other.look()
    assert routes(other) == ["two"]
    assert stand.sources() == ["files", "files"]


def test_the_ledger_is_followed_without_the_files(stand: Stand, tmp_path: Path):
    stand.opened()
    with stand.ledger.write() as connection:
        versions.activate(connection, "v9", {"10.yaml": TWO}, source="command")
    other = stand.opened("w2", leads=False)
    assert routes(other) == ["two"]


def test_a_rollback_outlasts_a_restart_and_ends_with_the_next_change(stand: Stand):
    book = stand.opened()
    first = book.table().version
    stand.rules_file.write_text(TWO)
    settle(book)
    stand.roll_back(first)
    book.look()
    assert routes(book) == ["one"]
    assert metrics.RULES_ROLLED_BACK._value.get() == 1
    assert routes(stand.opened("w3")) == ["one"]
    stand.site_file.write_text(SITE + "# a word\n")  # the rules are what they were
    settle(book)
    assert routes(book) == ["one"]
    stand.rules_file.write_text(TWO + "# a word\n")
    settle(book)
    assert routes(book) == ["two"]
    assert metrics.RULES_ROLLED_BACK._value.get() == 0
    assert stand.sources() == ["files", "rollback", "files", "files"]


TABLE = "routes: [{name: listed, send_to: pacs, when: {PatientID: {in_file: ids.txt}}}]\n"


def listed(book: Rulebook, patient_id: str) -> bool:
    attributes = MappingAttributes({"PatientID": patient_id})
    source = SourceFacts(calling_ae_title="", called_ae_title="", address="", listener="")
    file = FileFacts(sop_class_uid="", transfer_syntax_uid="", size=0)
    return not match(book.table(), Facts(attributes=attributes, source=source, file=file)).unrouted


def test_a_list_that_changed_is_read_again_and_does_not_end_a_rollback(stand: Stand):
    ids = stand.rules_file.parent / "ids.txt"
    ids.write_text("1\n")
    stand.rules_file.write_text(TABLE)
    book = stand.opened()
    first = book.table().version
    ids.write_text("1\n2\n")
    settle(book)
    assert listed(book, "2")
    assert book.table().version != first
    stand.rules_file.write_text(TWO)
    settle(book)
    stand.rules_file.write_text(TABLE)
    settle(book)
    stand.roll_back(first)
    book.look()
    ids.write_text("1\n2\n3\n")
    settle(book)
    assert listed(book, "3")
    assert book.table().version == first
    assert stand.sources()[0] == "rollback"


def test_a_site_must_fit_the_rules_that_were_rolled_back_to(stand: Stand):
    book = stand.opened()
    first = book.table().version
    stand.rules_file.write_text(TWO)
    settle(book)
    stand.roll_back(first)
    book.look()
    stand.site_file.write_text(SITE.replace("- {name: pacs, folder: {path: pacs}}", ""))
    settle(book)
    assert book.site().destination_names == ("pacs", "ai")


def test_who_insists_ends_a_rollback(stand: Stand):
    book = stand.opened()
    first = book.table().version
    stand.rules_file.write_text(TWO)
    settle(book)
    stand.roll_back(first)
    book.look()
    book.look(insist=True)
    assert routes(book) == ["two"]


def test_files_that_changed_while_nobody_ran(stand: Stand):
    stand.opened()
    stand.rules_file.write_text(TWO)
    assert routes(stand.opened("w2")) == ["two"]


def test_a_restart_with_broken_files_goes_on_with_what_was_in_force(stand: Stand):
    stand.rules_file.write_text("routes: [{")
    with pytest.raises(DocumentError):
        stand.opened()
    stand.rules_file.write_text(ONE)
    stand.opened()
    stand.rules_file.write_text("routes: [{")
    book = stand.opened("w2")
    assert routes(book) == ["one"]
    stand.rules_file.write_text(TWO)
    settle(book)
    assert routes(book) == ["two"]


def test_who_begins_to_lead_puts_its_files_in_force(stand: Stand):
    leading: list[bool] = []
    site = load_site(stand.site_file, {})
    book = Rulebook(
        stand.site_file, site, ledger=stand.ledger, who="w", leads=lambda: bool(leading)
    )
    book.open()
    stand.rules_file.write_text(TWO)
    settle(book)
    assert routes(book) == ["one"]
    leading.append(True)
    book.look()
    assert routes(book) == ["two"]


def test_a_version_that_cannot_be_used_here_is_not(stand: Stand):
    """A later version of the program may have put it in force during an upgrade."""
    book = stand.opened()
    with stand.ledger.write() as connection:
        texts = {"10.yaml": "routes: [{name: two, send_to: ai, by: carrier pigeon}]"}
        versions.activate(connection, "v9", texts, source="command")
    book.look()
    assert routes(book) == ["one"]


def test_a_shadow_is_loaded_beside_and_its_mistakes_harm_nobody(stand: Stand):
    folder = stand.folder / "next"
    folder.mkdir()
    (folder / "10.yaml").write_text(TWO)
    book = stand.opened()
    assert book.shadow() is None
    stand.site_file.write_text(SITE + "rules_shadow: next\n")
    settle(book)
    shadow = book.shadow()
    assert shadow is not None
    assert [one.route.name for one in shadow.routes] == ["two"]
    (folder / "10.yaml").write_text("routes: [{")
    settle(book)
    assert book.shadow() is shadow
    assert metrics.FILES_REFUSED._value.get() == 0
    (folder / "10.yaml").write_text(ONE)
    settle(book)
    shadow = book.shadow()
    assert shadow is not None
    assert [one.route.name for one in shadow.routes] == ["one"]
    stand.site_file.write_text(SITE)
    settle(book)
    assert book.shadow() is None
    assert routes(book) == ["one"]

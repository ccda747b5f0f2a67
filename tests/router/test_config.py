"""The site's file: what it means when it is sound, and what is said when it is not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.config import (
    Destination,
    DicomDestination,
    FolderDestination,
    Listener,
    Site,
    StoreBucket,
    load_site,
    warnings,
)
from router.config_values import parse_duration, parse_size
from router.config_workers import ROOM_FOR_MORE
from rules.documents.reading import DocumentError, Problem

LISTENER = "listeners: [{name: main, ae_title: ROUTER}]\n"

FULL = """\
listeners:
  - {name: main, ae_title: ROUTER, bind: 0.0.0.0, port: 11112, max_associations: 100}
  - {name: any, ae_title: ROUTER, port: 11113, called_ae_titles: any, sop_classes: standard}
  - {name: secure, ae_title: ROUTER, port: 2762, called_ae_titles: [ROUTER, OLD],
     tls: {cert: tls/router.pem, key: tls/router.key, ca: tls/ca.pem, client: require}}
sources:
  - {name: ct01, ae_title: CT01, hosts: [10.1.0.0/16, 10.2.0.7], listeners: [main]}
destinations:
  - name: pacs
    dicom: {ae_title: PACS, host: pacs.example.org, calling_ae_title: ROUTER, associations: 4}
    retry: {first: 30s, factor: 2, most: 10m, give_up_after: 3d}
  - name: research
    folder: {path: research, layout: "{PatientID}/{SOPInstanceUID}.dcm", writers: 3}
rules: rules/
on_no_match: research
duplicates: ignore identical
store: file:var/store
ledger: sqlite:///var/ledger.db
broker: memory://
free_space: {low: 10GB, high: 20GiB}
retention: {delivered: 24h}
loops: {receptions: 4, within: 2h}
metrics: {bind: 127.0.0.1, port: 9465}
log: {level: debug, format: json}
workers: {routing: 2}
"""


def write(folder: Path, text: str, name: str = "site.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mistakes(path: Path, environ: dict[str, str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(DocumentError) as caught:
        load_site(path, environ or {})
    return caught.value.problems


@pytest.fixture
def full(tmp_path: Path) -> Site:
    for name in ("router.pem", "router.key", "ca.pem"):
        write(tmp_path, "", f"tls/{name}")
    return load_site(write(tmp_path, FULL), {})


def test_every_setting_of_a_full_site_is_understood(full: Site, tmp_path: Path):
    main, anyone, secure = full.listeners
    assert (main.bind, main.port, main.max_associations) == ("0.0.0.0", 11112, 100)
    assert anyone.sop_classes == "standard"
    assert secure.tls is not None
    assert secure.tls.cert == tmp_path / "tls/router.pem"
    assert full.sources[0].hosts == ("10.1.0.0/16", "10.2.0.7/32")
    pacs, research = full.destinations
    assert (pacs.kind, pacs.slots) == ("dicom", 4)
    assert (research.kind, research.slots) == ("folder", 3)
    assert (pacs.retry.first, pacs.retry.most, pacs.retry.give_up_after) == (30, 600, 259200)
    assert (full.free_space.low, full.free_space.high) == (10 * 10**9, 20 * 2**30)
    assert (full.loops.receptions, full.loops.within) == (4, 7200)
    assert full.metrics is not None
    assert full.metrics.port == 9465
    assert (full.slots, full.egress_workers) == (7, 7 + ROOM_FOR_MORE)
    assert warnings(full) == []


def test_paths_count_from_the_folder_of_the_file(full: Site, tmp_path: Path):
    research = full.destination("research")
    assert research is not None
    assert research.folder is not None
    assert research.folder.path == tmp_path / "research"
    assert full.rules == tmp_path / "rules"
    assert full.spool_path == tmp_path / "var/store"
    assert full.ledger == f"sqlite:///{tmp_path}/var/ledger.db"


def test_a_small_site_gets_the_defaults(tmp_path: Path):
    site = load_site(write(tmp_path, LISTENER), {})
    assert site.on_no_match == "hold"
    assert site.durability == "local"
    assert site.spool_path == tmp_path / "var/store"
    assert site.ledger == f"sqlite:///{tmp_path}/var/ledger.db"
    assert site.rules == tmp_path / "rules"
    assert site.metrics is not None
    assert site.metrics.bind == "127.0.0.1"


def test_a_site_does_not_change(full: Site):
    with pytest.raises(ValueError, match="frozen"):
        full.on_no_match = "discard"  # type: ignore[misc]


@pytest.mark.parametrize("word", ["off", '"off"'])
def test_metrics_can_be_off(tmp_path: Path, word: str):
    assert load_site(write(tmp_path, LISTENER + f"metrics: {word}"), {}).metrics is None


def test_a_listener_answers_to_its_own_title_unless_told_otherwise():
    own = Listener(name="a", ae_title="ROUTER")
    named = Listener(name="a", ae_title="ROUTER", called_ae_titles=("OLD",))
    anyone = Listener(name="a", ae_title="ROUTER", called_ae_titles="any")
    titles = ("ROUTER", "OLD", "any", "STRANGER")
    assert [own.answers_to(t) for t in titles] == [True, False, False, False]
    assert [named.answers_to(t) for t in titles] == [False, True, False, False]
    assert all(anyone.answers_to(t) for t in titles)


def test_listeners_may_share_a_port_on_different_addresses(tmp_path: Path):
    text = "listeners:\n" + "".join(
        f"  - {{name: l{n}, ae_title: A, bind: 127.0.0.{n}, port: 104}}\n" for n in (1, 2)
    )
    assert len(load_site(write(tmp_path, text), {}).listeners) == 2


def test_what_should_not_be_overlooked_is_said(tmp_path: Path):
    site = load_site(write(tmp_path, LISTENER + "durability: unsafe\non_no_match: discard\n"), {})
    said = " ".join(warnings(site))
    for word in ("sources", "destinations", "durability", "on_no_match"):
        assert f"`{word}" in said


def test_fewer_deliveries_at_once_than_destinations_allow_are_noted(tmp_path: Path):
    text = (
        LISTENER
        + "sources: [{name: ct, ae_title: CT}]\nworkers: {egress: 2}\n"
        + "destinations: [{name: a, folder: {path: a, writers: 3}}]\n"
    )
    [said] = warnings(load_site(write(tmp_path, text), {}))
    assert said.startswith("`workers.egress: 2` is less than the destinations' 3 associations")


BROKEN = {
    "an unknown key": (
        LISTENER + "destnations: []",
        "2:1: destnations: unknown key (did you mean destinations?)",
    ),
    "an unknown key deep inside": (
        LISTENER + "destinations:\n  - name: a\n    dicom: {ae_title: A, host: h, prt: 104}",
        "4:35: destinations[0].dicom.prt: unknown key (did you mean port?)",
    ),
    "a later issue's key": (
        LISTENER + "console: {port: 8080}",
        "2:1: console: unknown key; known here: ",
    ),
    "no listeners": ("rules: rules/", "1:1: listeners: this key is missing"),
    "an empty list of listeners": (
        "listeners: []",
        "1:1: listeners: a router listens somewhere: name at least one listener",
    ),
    "a word for a number": (
        "listeners: [{name: a, ae_title: A, port: dicom}]",
        "1:36: listeners[0].port: expected a whole number, found 'dicom'",
    ),
    "a port that is none": (
        "listeners: [{name: a, ae_title: A, port: 70000}]",
        "1:36: listeners[0].port: expected at most 65535",
    ),
    "an AE title that is too long": (
        "listeners: [{name: a, ae_title: ABCDEFGHIJKLMNOPQ}]",
        "1:23: listeners[0].ae_title: an AE title has 1 to 16 characters",
    ),
    "an AE title with a backslash": (
        "listeners: [{name: a, ae_title: 'A\\B'}]",
        "1:23: listeners[0].ae_title: an AE title is printable ASCII without a backslash",
    ),
    "an empty AE title": (
        "listeners: [{name: a, ae_title: ' '}]",
        "1:23: listeners[0].ae_title: an AE title has 1 to 16 characters",
    ),
    "a name with a space": (
        "listeners: [{name: my port, ae_title: A}]",
        "1:14: listeners[0].name: a name has 1 to 64 letters, digits",
    ),
    "a duration without its unit's sense": (
        LISTENER + "retention: {delivered: 1 day}",
        "2:13: retention.delivered: '1 day' is not a duration: write 30s, 10m, 24h or 3d",
    ),
    "no time at all": (
        LISTENER + "loops: {within: 0s}",
        "2:9: loops.within: expected more than 0",
    ),
    "a duration beyond reason": (
        LISTENER + "retention: {delivered: 9999w}",
        "2:13: retention.delivered: expected at most 315360000",
    ),
    "a size beyond reason": (
        LISTENER + f"free_space: {{low: {'9' * 400}GB}}",
        "2:14: free_space.low: ",
    ),
    "a host with a port": (
        LISTENER + "destinations:\n  - {name: a, dicom: {ae_title: A, host: 'cafe:104'}}",
        "3:36: destinations[0].dicom.host: expected a host name or an IP address, without port",
    ),
    "a certificate's name that is too long": (
        f"listeners: [{{name: a, ae_title: A, tls: {{cert: {'x' * 5000}, key: no.key}}}}]",
        "1:42: listeners[0].tls.cert: there is no file ",
    ),
    "a home of nobody": (LISTENER + "rules: '~no-such-user/rules'", "2:1: rules: nobody here has"),
    "a size that is none": (
        LISTENER + "free_space: {low: 10 gigs}",
        "2:14: free_space.low: '10 gigs' is not a size",
    ),
    "water marks upside down": (
        LISTENER + "free_space: {low: 10GB, high: 1GB}",
        "2:1: free_space: `high` is below `low`",
    ),
    "waits that shrink": (
        LISTENER + "destinations: [{name: a, folder: {path: x}, retry: {first: 1h, most: 1m}}]",
        "2:45: destinations[0].retry: `most` is shorter than `first`",
    ),
    "a destination of no kind": (
        LISTENER + "destinations:\n  - name: pacs",
        "3:5: destinations[0]: a destination has exactly one of `dicom` and `folder`",
    ),
    "a destination of two kinds": (
        LISTENER + "destinations:\n  - {name: a, folder: {path: x}, dicom: {ae_title: A, host: h}}",
        "3:5: destinations[0]: a destination has exactly one of `dicom` and `folder`",
    ),
    "a layout that leaves its folder": (
        LISTENER + "destinations: [{name: a, folder: {path: x, layout: '../{SOPInstanceUID}'}}]",
        "2:44: destinations[0].folder.layout: a layout is a relative path",
    ),
    "a layout that overwrites": (
        LISTENER + "destinations: [{name: a, folder: {path: x, layout: '{PatientID}.dcm'}}]",
        "2:44: destinations[0].folder.layout: a layout holds {SOPInstanceUID}",
    ),
    "a layout's keyword misspelt": (
        LISTENER
        + "destinations:\n  - {name: a, folder: {path: x, layout: '{PatientId}/{SOPInstanceUID}'}}",
        "3:33: destinations[0].folder.layout: the DICOM dictionary has no attribute PatientId (did",
    ),
    "a layout's brace left open": (
        LISTENER + "destinations:\n  - {name: a, folder: {path: x, layout: '{SOPInstanceUID'}}",
        "3:33: destinations[0].folder.layout: a layout has placeholders such as {PatientID}",
    ),
    "a host inside a network": (
        LISTENER + "sources: [{name: a, hosts: [10.1.2.3/16]}]",
        "2:29: sources[0].hosts[0]: '10.1.2.3/16' is an address inside a network (did you mean 10.",
    ),
    "a host name": (
        LISTENER + "sources: [{name: a, hosts: [ct01.example.org]}]",
        "2:29: sources[0].hosts[0]: 'ct01.example.org' is not an address or a network",
    ),
    "a source that is anyone": (
        LISTENER + "sources: [{name: a, listeners: [main]}]",
        "2:11: sources[0]: a source needs `ae_title`, `hosts` or `tls_subject`",
    ),
    "a listener that is not there": (
        LISTENER + "sources: [{name: a, ae_title: A, listeners: [mian]}]",
        "2:46: sources[0].listeners[0]: there is no listener mian (did you mean main?)",
    ),
    "a destination that is not there": (
        LISTENER + "destinations: [{name: pacs, folder: {path: x}}]\non_no_match: pasc",
        "3:1: on_no_match: expected hold, discard or a destination, found 'pasc' (did you mean",
    ),
    "a destination named hold": (
        LISTENER + "destinations: [{name: hold, folder: {path: x}}]",
        "2:17: destinations[0].name: hold is a word of `on_no_match`, not a name",
    ),
    "two destinations of one name": (
        LISTENER + "destinations:\n"
        "  - {name: a, folder: {path: x}}\n"
        "  - {name: a, folder: {path: y}}",
        "4:6: destinations[1].name: the name a is taken already",
    ),
    "two listeners on one port": (
        "listeners:\n  - {name: a, ae_title: A, port: 104}\n  - {name: b, ae_title: B, port: 104}",
        "3:28: listeners[1].port: listener a has port 104 already",
    ),
    "a listener on a port that another has everywhere": (
        "listeners:\n  - {name: a, ae_title: A}\n  - {name: b, ae_title: B, bind: 127.0.0.1}",
        "3:5: listeners[1]: listener a has port 11112 already",
    ),
    "a certificate that is not there": (
        "listeners: [{name: a, ae_title: A, tls: {cert: no.pem, key: no.key}}]",
        "1:42: listeners[0].tls.cert: there is no file ",
    ),
    "a choice that is none": (
        LISTENER + "duplicates: ignore",
        "2:1: duplicates: expected 'route', 'ignore identical' or 'refuse', found 'ignore'",
    ),
    "a choice misspelt": (
        LISTENER + "log: {format: jsn}",
        "2:7: log.format: expected 'console' or 'json', found 'jsn' (did you mean json?)",
    ),
    "a store that is none": (LISTENER + "store: var/store", "2:1: store: a store is file:PATH"),
    "a bucket's name that is none": (
        LISTENER + "store: s3://A_Bucket/x",
        "2:1: store: a store is file:PATH or s3://BUCKET/PREFIX",
    ),
    "an endpoint with a password": (
        LISTENER + "s3: {endpoint: 'http://me:secret@host'}",
        "2:6: s3.endpoint: an endpoint is http://HOST:PORT",
    ),
    "half a credential": (
        LISTENER + "s3: {access_key_id: me}",
        "2:1: s3: `access_key_id` and `secret_access_key` go together",
    ),
    "a ledger that is forgotten": (
        LISTENER + "ledger: 'sqlite:///:memory:'",
        "2:1: ledger: the ledger must outlive the process",
    ),
    "a ledger that is none": (LISTENER + "ledger: mysql://x", "2:1: ledger: a ledger is sqlite"),
    "a broker that is none": (
        LISTENER + "broker: redis://:secret@broker",
        "2:1: broker: a broker is memory://, or amqps://USER:PASSWORD@HOST/VHOST",
    ),
    "a broker's hosts that differ": (
        LISTENER + "broker: amqps://one;amqp://two",
        "2:1: broker: the hosts of one broker are reached all by amqp:// or all by amqps://",
    ),
    "TLS for a broker that speaks none": (
        LISTENER + "broker: amqp://one/x\nbroker_tls: {key_password: secret}",
        "3:1: broker_tls: this is for a broker that is reached by amqps://",
    ),
    "a lane that is not there": (
        LISTENER + "destinations: [{name: pacs, folder: {path: x}, lane: fra}]\nlanes: [main, far]",
        "2:48: destinations[0].lane: there is no lane fra in `lanes` (did you mean far?)",
    ),
    "no lane": (
        LISTENER + "lanes: []",
        "2:1: lanes: destinations need a lane: leave `lanes` out, or name at least one",
    ),
    "a lane twice": (
        LISTENER + "lanes: [far, far]",
        "2:1: lanes: a lane is named twice",
    ),
    "a variable that is not set": (
        LISTENER + "ledger: ${LEDGER_ULR}",
        "2:1: ledger: the environment has no variable LEDGER_ULR",
    ),
    "a reference cut short": (
        LISTENER + "ledger: ${LEDGER",
        "2:1: ledger: a reference to the environment is written ${NAME}",
    ),
    "a secret that cannot be read": (
        LISTENER + "ledger: file:no/such/file",
        "2:1: ledger: cannot read the secret from ",
    ),
    "a key twice": (LISTENER + "rules: a\nrules: b", "3:1: rules: the key rules is here twice"),
    "no YAML": (LISTENER + "rules: [", "3:1: this is not YAML"),
    "a list for a site": ("- listeners", "1:1: expected a mapping (key: value), found a list"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, name: str):
    text, expected = BROKEN[name]
    path = write(tmp_path, text)
    told = [str(problem) for problem in mistakes(path)]
    assert any(line.startswith(f"{path}:{expected}") for line in told), told


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    path = write(
        tmp_path,
        "listeners: [{name: a, ae_title: A, x: 1}]\nlog: {level: loud}\nretention: {delivered: x}",
    )
    assert [problem.line for problem in mistakes(path)] == [1, 2, 3]


def test_a_missing_file_is_a_problem_of_that_file(tmp_path: Path):
    path = tmp_path / "no.yaml"
    assert str(mistakes(path)[0]).startswith(f"{path}:1:1: the file cannot be read")


def test_values_come_from_the_environment(tmp_path: Path):
    text = LISTENER + "ledger: postgresql+psycopg://${DB_USER}:a$$b@db/router\n"
    site = load_site(write(tmp_path, text), {"DB_USER": "me"})
    assert site.ledger == "postgresql+psycopg://me:a$b@db/router"


def test_a_number_may_come_from_the_environment(tmp_path: Path):
    text = "listeners: [{name: main, ae_title: ROUTER, port: '${PORT}'}]"
    assert load_site(write(tmp_path, text), {"PORT": "104"}).listeners[0].port == 104


def test_a_secret_may_lie_in_a_file_of_its_own(tmp_path: Path):
    write(tmp_path, "postgresql+psycopg://me:xyzzy@db/router\n", "run/ledger")
    site = load_site(write(tmp_path, LISTENER + "ledger: file:run/ledger\n"), {})
    assert site.ledger == "postgresql+psycopg://me:xyzzy@db/router"
    assert "xyzzy" not in repr(site)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("10m", 600),
        ("24h", 86400),
        ("3d", 259200),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("90", 90),
        (" 30S ", 30),
        ("000", 0),
    ],
)
def test_durations(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("4096", 4096),
        ("16KiB", 16384),
        ("1MiB", 2**20),
        ("1.5 GB", 1_500_000_000),
        ("2tib", 2**41),
    ],
)
def test_sizes(text: str, count: int):
    assert parse_size(text) == count


@given(st.text(max_size=12))
def test_values_are_understood_or_refused_never_more(text: str):
    for parse in (parse_duration, parse_size):
        try:
            value = parse(text)
        except ValueError as error:
            value = str(error)
        if isinstance(value, str):
            assert "write" in value
        else:
            assert isinstance(value, int | float)
            assert value >= 0


SCALARS = st.one_of(
    st.none(),
    st.text(max_size=20),
    st.sampled_from(
        ["~no-such-user/x", "x" * 5000, "a\0b", "file:", "file:~no-such-user", "${}", "$", "1e999"]
    ),
    st.integers(),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_stands_in_the_file_it_is_a_site_or_its_mistakes(
    tmp_path: Path, data: st.DataObject
):
    document = yaml.safe_load(FULL)
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(SCALARS)
    path = write(tmp_path, yaml.safe_dump(document, allow_unicode=True))
    try:
        site = load_site(path, {})
    except DocumentError as error:
        problems = error.problems
        assert problems
        assert all(problem.line >= 1 for problem in problems)
    else:
        assert site.listeners


def test_destinations_can_be_made_in_python():
    pacs = Destination(name="pacs", dicom=DicomDestination(ae_title="PACS", host="h"))
    folder = Destination(name="f", folder=FolderDestination(path=Path("relative")))
    assert pacs.dicom is not None
    assert pacs.dicom.port == 104
    assert folder.folder is not None
    assert folder.folder.path == Path("relative")


def test_a_store_in_a_bucket_has_a_spool_of_its_own(tmp_path: Path):
    (tmp_path / "site.yaml").write_text(
        LISTENER + "store: s3://dicom-objects/router/a/\ns3: {endpoint: 'https://s3:9000/'}\n"
    )
    site = load_site(tmp_path / "site.yaml", {})
    assert site.store == StoreBucket(bucket="dicom-objects", prefix="router/a")
    assert str(site.store) == "s3://dicom-objects/router/a"
    assert site.s3.endpoint == "https://s3:9000"
    assert site.spool_path == tmp_path / "var/spool"
    assert site.spool_is_apart


def test_a_folder_is_its_own_spool_unless_another_is_named(tmp_path: Path):
    (tmp_path / "site.yaml").write_text(LISTENER + "store: file:shared\n")
    site = load_site(tmp_path / "site.yaml", {})
    assert site.spool_path == tmp_path / "shared"
    assert not site.spool_is_apart
    (tmp_path / "site.yaml").write_text(LISTENER + "store: file:shared\nspool: own\n")
    site = load_site(tmp_path / "site.yaml", {})
    assert site.spool_path == tmp_path / "own"
    assert site.spool_is_apart


def test_credentials_are_never_shown(tmp_path: Path):
    (tmp_path / "key").write_text("hush-hush\n")
    (tmp_path / "site.yaml").write_text(
        LISTENER + "s3: {access_key_id: my-id, secret_access_key: 'file:key', session_token: tok}"
    )
    site = load_site(tmp_path / "site.yaml", {})
    assert site.s3.secret_access_key == "hush-hush"
    for word in ("hush-hush", "my-id", "'tok'"):
        assert word not in repr(site)

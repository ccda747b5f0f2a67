"""Who may open an association, and what the others are told (PS3.8 table 9-21)."""

import pytest

from router.config import Listener, Source
from router.ingress import admission
from router.ingress.admission import Admitted, Caller, Refused, admit

LISTENER = Listener(name="main", ae_title="ROUTER", port=11112, max_associations=3)


def caller(**changes: str | None) -> Caller:
    known = {"calling_ae_title": "CT01", "called_ae_title": "ROUTER", "address": "10.1.2.3"}
    return Caller(**{**known, **changes})  # type: ignore[arg-type]


def decide(
    who: Caller,
    *sources: Source,
    listener: Listener = LISTENER,
    open_here: int = 0,
    open_by_source: dict[str, int] | None = None,
) -> Admitted | Refused:
    return admit(who, listener, sources, open_here=open_here, open_by_source=open_by_source or {})


def test_anyone_may_send_where_no_sources_are_listed() -> None:
    assert decide(caller()) == Admitted(source=None)


def test_the_called_title_must_be_ours() -> None:
    assert decide(caller(called_ae_title="OTHER")) is admission.CALLED_AE_UNKNOWN


def test_a_listener_may_answer_to_any_title() -> None:
    listener = Listener(name="main", ae_title="ROUTER", port=1, called_ae_titles="any")
    assert decide(caller(called_ae_title="OTHER"), listener=listener) == Admitted(source=None)


def test_a_listed_source_is_admitted_by_name() -> None:
    source = Source(name="ct01", ae_title="CT01", hosts=("10.1.0.0/16",), listeners=("main",))
    assert decide(caller(), source) == Admitted(source="ct01")


@pytest.mark.parametrize(
    ("source", "refusal"),
    [
        (Source(name="mr", ae_title="MR01"), admission.CALLING_AE_UNKNOWN),
        (
            Source(name="ct", ae_title="CT01", hosts=("10.2.0.0/16",)),
            admission.ADDRESS_NOT_ALLOWED,
        ),
        (
            Source(name="ct", ae_title="CT01", listeners=("secure",)),
            admission.LISTENER_NOT_ALLOWED,
        ),
        (
            Source(name="ct", ae_title="CT01", tls_subject="CN=ct01"),
            admission.TLS_SUBJECT_NOT_ALLOWED,
        ),
    ],
)
def test_a_caller_that_is_no_source_is_told_what_was_nearest(
    source: Source, refusal: Refused
) -> None:
    assert decide(caller(), Source(name="far", ae_title="XX"), source) is refusal


def test_case_of_a_title_matters() -> None:
    assert decide(caller(), Source(name="ct", ae_title="ct01")) is admission.CALLING_AE_UNKNOWN


def test_an_ipv4_peer_of_a_dual_stack_socket_counts_as_ipv4() -> None:
    source = Source(name="ct", hosts=("10.1.0.0/16",))
    assert decide(caller(address="::ffff:10.1.2.3"), source) == Admitted(source="ct")


def test_a_subject_may_be_a_pattern() -> None:
    source = Source(name="ct", tls_subject="CN=ct*,O=Example")
    assert decide(caller(tls_subject="CN=ct07,O=Example"), source) == Admitted(source="ct")


def test_a_full_listener_says_so_as_transient() -> None:
    refusal = decide(caller(), open_here=3)
    assert refusal is admission.TOO_MANY
    assert (refusal.result, refusal.source, refusal.reason) == (2, 3, 2)


def test_unlisted_callers_are_limited_by_address() -> None:
    listener = LISTENER.model_copy(update={"max_associations_per_source": 2})
    refusal = decide(caller(), listener=listener, open_by_source={"10.1.2.3": 2})
    assert refusal is admission.TOO_MANY_FROM_SOURCE


def test_a_source_has_a_limit_of_its_own() -> None:
    source = Source(name="ct01", ae_title="CT01", max_associations=1)
    assert decide(caller(), source, open_by_source={"other": 2}) == Admitted(source="ct01")
    assert decide(caller(), source, open_by_source={"ct01": 1}) is admission.TOO_MANY_FROM_SOURCE

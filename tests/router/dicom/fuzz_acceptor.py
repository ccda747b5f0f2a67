"""Feeds an acceptor streams that no peer should send, for as long as it is told:

    python tests/router/dicom/fuzz_acceptor.py SECONDS

with atheris (coverage-guided) where it can be imported, else with hypothesis. It says how many
streams were run, and exits with a traceback and status 1 at the first that raises, yields events
without end, or leaves the connection open after its end; and when memory grows.
"""

import importlib.util
import resource
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GUIDED = __name__ == "__main__" and importlib.util.find_spec("atheris") is not None
atheris = importlib.import_module("atheris") if GUIDED else None

# Only the layer is watched for coverage: instrumenting all that it imports takes a minute.
with atheris.instrument_imports(include=["router.dicom"]) if atheris else nullcontext():
    from router.dicom.association import Association
    from router.dicom.commands import CStoreRq
    from router.dicom.events import AssociationRequested, Closed, CommandReceived, ReleaseRequested
    from router.dicom.negotiation import Acceptance, negotiate
    from router.dicom.pdu_writer import write_pdu
    from router.dicom.pdus import AAssociateRq, ProposedContext, UserInformation

CT = "1.2.840.10008.5.1.4.1.1.2"
REQUEST = AAssociateRq(
    called_ae_title="ROUTER",
    calling_ae_title="FUZZ",
    presentation_contexts=(
        ProposedContext(
            context_id=1, abstract_syntax=CT, transfer_syntaxes=("1.2.840.10008.1.2.1",)
        ),
    ),
    user_information=UserInformation(max_length=16384),
)
REQUEST_BYTES = write_pdu(REQUEST)
GROWTH_MB = 100
"""More than fuzzers gather for themselves in ten minutes, and less than leaks would in one."""


def object_bytes() -> bytes:
    """Return the bytes of one small stored object, for fuzzers to start from."""
    requestor = Association.requestor(REQUEST, now=0.0)
    acceptor = Association.acceptor(now=0.0)
    acceptor.receive(requestor.outgoing())
    acceptor.next_event()
    acceptor.accept(negotiate(REQUEST, Acceptance()))
    requestor.receive(acceptor.outgoing())
    requestor.next_event()
    command = CStoreRq(message_id=1, affected_sop_class_uid=CT, affected_sop_instance_uid="1.2.3.4")
    requestor.send_command(1, command, has_data=True)
    wire = requestor.outgoing()
    for header, length in requestor.data_headers(1, 40):
        wire += header + bytes(length)
    requestor.release()
    return wire + requestor.outgoing()


def serve(acceptor: Association, limit: int) -> None:
    """Answer as a careless server would until bytes are missing."""
    for _ in range(limit):
        event = acceptor.next_event()
        match event:
            case None | Closed():
                return
            case AssociationRequested():
                acceptor.accept(negotiate(event.request, Acceptance()))
            case ReleaseRequested():
                acceptor.release_response()
            case CommandReceived(command=CStoreRq()):
                pass
        acceptor.outgoing()
    raise AssertionError("events without end")


def run(stream: bytes) -> None:
    """Feed one stream: its first byte says how it is cut and what comes before it."""
    how = stream[0] if stream else 0
    acceptor = Association.acceptor(now=0.0)
    if how & 1:
        acceptor.receive(REQUEST_BYTES)
        serve(acceptor, 10)
    step = (how >> 1) + 1 if how & 0x80 else len(stream) + 1
    for at in range(1, len(stream), step):
        acceptor.receive(stream[at : at + step])
        serve(acceptor, len(stream) + 10)
    acceptor.receive_eof()
    serve(acceptor, 10)
    if not isinstance(acceptor.next_event(), Closed) or not acceptor.close_expected():
        raise AssertionError("the end of the connection did not end the association")


def seeds() -> list[bytes]:
    """Return streams that go through most of the code, to start from."""
    message = object_bytes()
    return [b"\0" + REQUEST_BYTES + message, b"\1" + message, b"\x93" + message]


def peak_mb() -> int:
    """The most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def with_atheris(seconds: int) -> None:
    """Run coverage-guided until the time is over; libFuzzer says how many, and exits."""
    assert atheris is not None
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-rss_limit_mb={peak_mb() + GROWTH_MB}", "-max_len=4096", "-timeout=5"]
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", *limits, corpus], run)
        atheris.Fuzz()


def with_hypothesis(seconds: int) -> None:
    """Run mutations of the seeds and noise until the time is over."""
    executions = 0
    end = time.monotonic() + seconds

    @settings(
        max_examples=2000,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.sampled_from(seeds()),
        st.lists(st.tuples(st.integers(0, 4096), st.binary(max_size=8)), max_size=6),
    )
    def mutated(seed: bytes, changes: list[tuple[int, bytes]]) -> None:
        nonlocal executions
        stream = bytearray(seed)
        for place, new in changes:
            at = place % (len(stream) + 1)
            stream[at : at + len(new)] = new
        run(bytes(stream))
        executions += 1

    mutated()
    at_first = peak_mb()
    while time.monotonic() < end:
        mutated()
        if peak_mb() > at_first + GROWTH_MB:
            raise AssertionError(f"grew from {at_first} to {peak_mb()} MB")
    print(f"Done {executions} runs in {seconds} second(s)")


if __name__ == "__main__":
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    if GUIDED:
        with_atheris(length)
    else:
        with_hypothesis(length)

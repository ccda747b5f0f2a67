"""Codecs that crash, hang or eat memory: the frame fails, and nothing else does."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from router.config import Codecs
from router.transcoding.errors import CannotTranscode, CodecFailed
from router.transcoding.frames import OldFrames
from router.transcoding.processes import CodecProcesses
from router.transcoding.work import Done, Work
from rules.encoded.data_set import EncodedDataSet, MalformedDataSet
from rules.encoded.pictures import NoPicture, Picture, pixel_element, read_picture
from tests.programs import wait_until
from tests.router.transcoding.material import (
    EXPLICIT,
    J2K_LOSSLESS,
    JPEG_LS,
    RLE,
    compressed_files,
    file,
    gradient,
)


def picture(rows: int, columns: int) -> Picture:
    return Picture(
        rows=rows,
        columns=columns,
        samples=1,
        bits_allocated=16,
        bits_stored=12,
        high_bit=11,
        is_signed=False,
        photometric="MONOCHROME2",
        planar=0,
        frames=1,
    )


SMALL = gradient(64, 48).tobytes()


def small(processes: CodecProcesses, target: str = JPEG_LS) -> Done:
    return processes.carry_out(Work(picture=picture(64, 48), source=EXPLICIT, target=target), SMALL)


@pytest.fixture
def made() -> Iterator[Callable[..., CodecProcesses]]:
    every: list[CodecProcesses] = []

    def make(**settings: object) -> CodecProcesses:
        every.append(CodecProcesses(Codecs.model_validate(settings)))
        return every[-1]

    yield make
    for processes in every:
        processes.close()


def lost(how: str) -> float:
    return (
        REGISTRY.get_sample_value("dicom_router_codec_processes_lost_total", {"outcome": how})
        or 0.0
    )


def test_a_process_is_kept_for_the_next_frame_and_ended_with_the_others(made):
    processes = made(processes=2)
    first = small(processes)
    (pid,) = processes.process_ids()
    assert small(processes).data == first.data
    assert processes.process_ids() == [pid]
    processes.close()
    assert processes.process_ids() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_secrets_of_the_router_are_not_theirs(made, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for codecs")
    processes = made(processes=1)
    small(processes)
    (pid,) = processes.process_ids()
    names = {pair.split(b"=")[0] for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")}
    assert b"OPENBLAS_NUM_THREADS" in names
    assert b"AWS_SECRET_ACCESS_KEY" not in names
    assert b"HOME" not in names


def test_a_process_that_was_killed_is_replaced_and_nobody_notices(made):
    processes = made(processes=1)
    before = small(processes).data
    (pid,) = processes.process_ids()
    os.kill(pid, signal.SIGKILL)
    assert small(processes).data == before
    assert processes.process_ids() != [pid]


def test_a_process_killed_in_the_middle_of_a_frame_takes_nothing_with_it(made):
    processes = made(processes=2)
    small(processes)
    (victim,) = processes.process_ids()
    rows = 1200
    large = gradient(rows, 1200, most=4000).tobytes()
    work = Work(picture=picture(rows, 1200), source=EXPLICIT, target=J2K_LOSSLESS)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(processes.carry_out, work, large)
        wait_until(lambda: processes.process_ids() == [], "the frame to be taken up")
        other = threads.submit(lambda: [small(processes).data for _ in range(20)])
        os.kill(victim, signal.SIGKILL)
        assert len(set(other.result(60))) == 1
        # It had served a frame before, so this one was tried again elsewhere.
        again = processes.carry_out(
            Work(picture=work.picture, source=J2K_LOSSLESS, target=EXPLICIT), slow.result(60).data
        )
    assert again.data == large


def test_a_frame_that_takes_too_long_fails_and_its_process_is_ended(made):
    before = lost("timeout")
    processes = made(processes=1, timeout=0.2)
    rows = 4000
    work = Work(picture=picture(rows, 4000), source=EXPLICIT, target=J2K_LOSSLESS)
    with pytest.raises(CodecFailed, match="longer than codecs may take"):
        processes.carry_out(work, bytes(np.random.default_rng(0).bytes(rows * 4000 * 2)))
    assert lost("timeout") == before + 1
    assert small(processes).data


def test_a_frame_that_needs_too_much_memory_fails(made):
    processes = made(processes=1, memory="384MiB")
    before = small(processes).data
    rows = 8000
    work = Work(picture=picture(rows, 8000), source=EXPLICIT, target=J2K_LOSSLESS)
    with pytest.raises(CannotTranscode):
        processes.carry_out(work, bytes(rows * 8000 * 2))
    assert small(processes).data == before


def test_a_process_that_stops_answering_is_killed(made, monkeypatch):
    monkeypatch.setattr("router.transcoding.processes.GRACE_SECONDS", 0.2)
    processes = made(processes=1, timeout=0.3)
    small(processes)
    (pid,) = processes.process_ids()
    os.kill(pid, signal.SIGSTOP)  # not even its own alarm ends it now
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(CodecFailed, match="longer"):
        small(processes)
    assert small(processes).data


def test_broken_frames_fail_alone(made):
    """Real codestreams with real damage: cut short, bytes turned, noise."""
    processes = made(processes=2)
    damage = random.Random(7)
    frames = _codestreams()
    assert len({syntax for syntax, _, _ in frames}) >= 8
    ends: list[str] = []

    def torn(syntax: str, described: Picture, frame: bytes) -> None:
        data = bytearray(frame)
        for _ in range(damage.randint(1, 30)):
            data[damage.randrange(len(data))] = damage.randrange(256)
        if damage.random() < 0.3:
            del data[damage.randrange(len(data)) :]
        try:
            done = processes.carry_out(
                Work(picture=described, source=syntax, target=EXPLICIT), bytes(data)
            )
        except CannotTranscode:
            ends.append("failed")
        else:
            ends.append("done")
            size = described.rows * described.columns * described.samples
            assert len(done.data) == size * described.sample_bytes

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda case: torn(*case), frames * 2))
    assert {"failed", "done"} == set(ends)
    assert small(processes).data


def test_more_threads_than_processes_wait_for_each_other(made):
    processes = made(processes=2)
    seen: set[int] = set()
    started = threading.Barrier(6)

    def work(target: str) -> bytes:
        started.wait()
        data = small(processes, target).data
        seen.update(processes.process_ids())
        return data

    with ThreadPoolExecutor(6) as threads:
        done = list(threads.map(work, [RLE, JPEG_LS] * 3))
    assert len(set(done)) == 2
    assert 1 <= len(seen) <= 2


def _codestreams() -> list[tuple[str, Picture, bytes]]:
    """The first frame of each compressed file of some size, as the router reads it."""
    found = []
    for path in compressed_files():
        came = file(path)
        if len(came.data) > 400_000:
            continue
        data_set = EncodedDataSet.read(came.data, came.syntax)
        try:
            element = pixel_element(data_set)
            described = read_picture(data_set)
            if element is not None:
                frame = next(iter(OldFrames(data_set, element, described)))
                found.append((came.syntax, described, frame))
        except (MalformedDataSet, NoPicture, CannotTranscode):
            continue
    return found

"""A codec process: reads frames of work, answers with frames. `python -m router.transcoding.child`

Codecs are C and C++ that read bytes from strangers. Here they can crash, hang or eat memory and
take nothing with them: the kernel enforces the limits, also when the router itself is gone.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from router.transcoding.decoding import Samples, decode
from router.transcoding.encoding import encode
from router.transcoding.errors import CannotTranscode, CodecFailed
from router.transcoding.work import (
    OUT_OF_MEMORY,
    Done,
    Look,
    Work,
    look_of,
    receive,
    send,
    work_of,
)
from rules.encoded.blackening import black, unused_below
from rules.encoded.pictures import Picture
from rules.encoded.transfer_syntaxes import KNOWN


def carry_out(work: Work, frame: bytes) -> Done:
    """The frame in its new syntax; CannotTranscode where it cannot be had."""
    samples, photometric, lossy = decode(frame, work.source, work.picture)
    if work.clear_unused:
        samples = _cleared(samples, work.picture)
    if work.boxes:
        samples = _blackened(samples, photometric, work)
    data, named = encode(samples, photometric, work.target, work.picture, work.loss)
    if work.verify and work.loss is None and KNOWN[work.target].codec != "native":
        encoded = replace(work.picture, photometric=named, planar=0)
        again, name, _ = decode(data, work.target, encoded)
        if name != photometric or not np.array_equal(again, samples):
            raise CodecFailed("the encoded frame did not decode to what it was")
    return Done(data=data, photometric=named, lossy=lossy)


def _texts(look: Look, frame: bytes) -> int:
    from router.transcoding.text import texts_in  # the libraries of an extra, and slow to import

    samples, photometric, _ = decode(frame, look.source, look.picture)
    return texts_in(samples, photometric, look.picture, look.light)


def main() -> None:
    """Serve until the pipe ends. Arguments: bytes of memory, seconds for one frame."""
    memory, seconds = int(sys.argv[1]), float(sys.argv[2])
    _limit(memory)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    send(answers, {"ready": True})
    while (message := receive(requests)) is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)  # left alone, it ends the process
        _answer(answers, *message)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(answers: BinaryIO, words: dict[str, object], frame: bytes) -> None:
    try:
        if "look" in words:
            send(answers, {"texts": _texts(look_of(words), frame)})
            return
        done = carry_out(work_of(words), frame)
    except CannotTranscode as error:
        send(answers, {"failed": str(error)})
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # what is left of this process is of no use
    else:
        send(answers, {"photometric": done.photometric, "lossy": done.lossy}, done.data)


def _blackened(samples: Samples, photometric: str, work: Work) -> Samples:
    changed = samples.copy()
    picture = work.picture
    for x, y, width, height in work.boxes:
        changed[y : y + height, x : x + width] = black(photometric, picture)
    return changed


def _cleared(samples: Samples, picture: Picture) -> Samples:
    """The bits of the picture alone, with its sign in those above."""
    below = unused_below(picture)
    above = picture.bits_allocated - picture.high_bit - 1
    plain = samples.view(samples.dtype.str.replace("i", "u"))
    top: Samples = ((plain >> below) << (below + above)).view(samples.dtype)
    return np.right_shift(top, above)


def _limit(memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the router's to answer
    # A dump of the core would hold a patient's picture; files are nobody's business here.
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(what, (most, most))


if __name__ == "__main__":
    main()

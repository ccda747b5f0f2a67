"""Changes the pixels of one object: another transfer syntax, black rectangles, or both.

Frame by frame: memory does not grow with their number. What cannot be done raises
CannotTranscode, and nothing is sent; MalformedDataSet where the object makes no sense, NoCodecs
and OSError where it may work another time.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from router import metrics
from router.config import Codecs
from router.net.data_source import FileSlice
from router.transcoding import marks, skeleton
from router.transcoding.errors import CannotTranscode
from router.transcoding.frames import NewFrames, OldFrames, changed
from router.transcoding.parts import Part, blocks_of, length_of
from router.transcoding.plan import Plan, plan_of
from router.transcoding.processes import CodecProcesses
from router.transcoding.scratch import Scratch
from router.transcoding.work import Work
from rules.edits import Edited
from rules.encoded.data_set import EncodedDataSet, Slice
from rules.encoded.draft import Draft
from rules.encoded.encapsulated import SEQUENCE_DELIMITER
from rules.encoded.forms import DEFLATED, EXPLICIT_BIG, UNDEFINED, form_of
from rules.encoded.level import Element
from rules.encoded.pictures import (
    PIXEL_DATA,
    NoPicture,
    Picture,
    has_float_pixels,
    pixel_element,
    read_picture,
)
from rules.encoded.transfer_syntaxes import KNOWN, TransferSyntax
from rules.encoded.writing import encode_head


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcoded:
    """A changed object: its parts one after the other. Slices refer to `source`."""

    parts: tuple[Part, ...]
    source: EncodedDataSet
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


class Transcoder:
    """Carries out plans. Safe to use from many threads; codecs start when they are first needed."""

    def __init__(self, settings: Codecs) -> None:
        self._settings = settings
        self._processes = CodecProcesses(settings)

    @property
    def settings(self) -> Codecs:
        return self._settings

    @property
    def processes(self) -> CodecProcesses:
        return self._processes

    def close(self) -> None:
        """End the codec processes."""
        self._processes.close()

    @contextmanager
    def edited(self, data_set: EncodedDataSet, edited: Edited) -> Iterator[Transcoded]:
        """An edited object with its pixel edits carried out. To be used up inside the `with`."""
        with self.planned(data_set, edited, plan_of(edited.pixel_edits)) as transcoded:
            yield transcoded

    @contextmanager
    def planned(self, data_set: EncodedDataSet, edited: Edited, plan: Plan) -> Iterator[Transcoded]:
        """The same for a plan that stands in no rule."""
        started = time.monotonic()
        with ExitStack() as stack:
            job = _Job(self, data_set, edited, plan, stack)
            try:
                transcoded = job.run()
            except CannotTranscode:
                metrics.OBJECTS_TRANSCODED.labels("refused").inc()
                raise
            metrics.OBJECTS_TRANSCODED.labels("done").inc()
            metrics.TRANSCODE_SECONDS.observe(time.monotonic() - started)
            yield transcoded


class _Job:
    """One object on its way."""

    def __init__(
        self,
        transcoder: Transcoder,
        data_set: EncodedDataSet,
        edited: Edited,
        plan: Plan,
        stack: ExitStack,
    ) -> None:
        self.transcoder = transcoder
        self.plan = plan
        self.stack = stack
        self.edited = edited
        self.source, self.pieces = data_set, edited.pieces
        self.is_deflated = data_set.transfer_syntax_uid == DEFLATED
        if self.is_deflated and all(isinstance(piece, bytes) for piece in edited.pieces):
            # Edits deflate again what they inflated; of an object as it came there are slices.
            whole = b"".join(blocks_of(data_set, edited.pieces))
            self.source = EncodedDataSet.read(whole, DEFLATED)
            self.pieces = (Slice(0, len(self.source.source)),)
        self.stored = KNOWN.get(data_set.transfer_syntax_uid)

    def run(self) -> Transcoded:
        if self.stored is None:
            syntax = self.source.transfer_syntax_uid
            raise CannotTranscode(f"the router has no codec for transfer syntax {syntax}")
        element = pixel_element(self.source)
        if element is None and self.plan.changes_pixels and has_float_pixels(self.source):
            raise CannotTranscode("its pixels are floating point numbers")
        target = self._target(self.stored, has_pixels=element is not None)
        if target.uid == self.stored.uid and not (self.plan.changes_pixels and element is not None):
            return self._transcoded(self.pieces, target)
        if element is None:
            return self._header_only(target)
        if target.codec == self.stored.codec == "native" and not self.plan.changes_pixels:
            return self._same_pixels(element, target)
        return self._new_pixels(element, self.stored, target)

    def _target(self, stored: TransferSyntax, *, has_pixels: bool) -> TransferSyntax:
        uid = self.plan.target
        if uid is None:
            uid = stored.again
        target = KNOWN.get(uid)
        if target is None or uid == EXPLICIT_BIG:
            raise CannotTranscode(f"the router does not write transfer syntax {uid}")
        if has_pixels or target.codec == "native":
            return target
        if has_float_pixels(self.source):
            raise CannotTranscode("its pixels are floating point numbers")
        return stored  # nothing to compress

    def _header_only(self, target: TransferSyntax) -> Transcoded:
        header = skeleton.explicit_header(self.source, self.pieces, None)
        parts = skeleton.skeleton(_draft(header), form_of(target.uid))
        return self._transcoded((parts.before, parts.after), target)

    def _same_pixels(self, element: Element, target: TransferSyntax) -> Transcoded:
        """Native to native: the header anew, pixel data by reference where its bytes stay so."""
        header = skeleton.explicit_header(self.source, self.pieces, element)
        length = element.stop - element.value
        body: tuple[Part, ...] = (Slice(element.value, length),)
        if self.source.root.form.order == ">":
            frames = OldFrames(self.source, element, _picture(header))
            new = NewFrames(self._scratch(), is_native=True)
            for frame in frames:
                new.add(frame)
            new.finish()
            body = (new.scratch.whole(),)
        vr = element.vr.decode("ascii") if element.vr in (b"OB", b"OW") else "OW"
        return self._whole(_draft(header), target, body, vr)

    def _new_pixels(
        self, element: Element, stored: TransferSyntax, target: TransferSyntax
    ) -> Transcoded:
        header = skeleton.explicit_header(self.source, self.pieces, element)
        draft = _draft(header)
        picture = _picture(header)
        loss = self.plan.loss
        stored_bits = range(picture.bits_stored, picture.bits_allocated + 1)
        if self.plan.clear_unused and picture.high_bit + 1 not in stored_bits:
            raise CannotTranscode("High Bit does not fit Bits Stored and Bits Allocated")
        if loss is not None and (not stored.lossless or marks.is_marked_lossy(draft)):
            raise CannotTranscode("what has lost something already is not made to lose more")
        new = NewFrames(self._scratch(), is_native=target.codec == "native")
        old = OldFrames(self.source, element, picture)
        names, was_lossy, before = self._frames(old, new, stored, target)
        table = new.finish()
        if len(names) != 1:
            raise CannotTranscode("its frames differ in their colours")
        if loss is not None and was_lossy:
            raise CannotTranscode("what has lost something already is not made to lose more")
        result = marks.Result(
            source=stored.uid,
            target=target.uid,
            photometric=names.pop(),
            interleaved=picture.samples > 1 and not self._in_place(stored, target, picture),
            was_lossy=was_lossy,
            native=picture.rows
            * picture.columns
            * picture.samples
            * picture.sample_bytes
            * picture.frames,
            before=before,
            after=sum(new.lengths),
            lengths=tuple(new.lengths),
            offsets=tuple(new.offsets),
        )
        uid = marks.mark(draft, result, loss)
        body: tuple[Part, ...] = (new.scratch.whole(),)
        if table:
            body = (table, *body, SEQUENCE_DELIMITER)
        vr = "OB" if table or picture.bits_allocated == 8 else "OW"
        return self._whole(draft, target, body, vr, uid)

    def _frames(
        self, old: OldFrames, new: NewFrames, stored: TransferSyntax, target: TransferSyntax
    ) -> tuple[set[str], bool, int]:
        """Each frame by the cheapest way; what they are called now, whether the old coding had
        lost something, and how many bytes they had."""
        picture = old.picture
        in_place = self._in_place(stored, target, picture)
        # Of colours, what is encoded anew may have another name than what was there.
        as_it_was = target.uid == stored.uid and picture.samples == 1
        clear = self.plan.clear_unused
        names: set[str] = set()
        was_lossy, before = False, 0
        for number, frame in enumerate(old, 1):
            before += len(frame)
            boxes = self.plan.boxes(number)
            if in_place:
                new.add(changed(frame, picture, boxes, clear_unused=clear))
                names.add(picture.photometric)
            elif as_it_was and not boxes and not clear:
                new.add(frame)
                names.add(picture.photometric)
            else:
                work = Work(
                    picture=picture,
                    source=stored.uid,
                    target=target.uid,
                    boxes=boxes,
                    clear_unused=clear,
                    loss=self.plan.loss,
                    verify=self.transcoder.settings.verify,
                )
                done = self.transcoder.processes.carry_out(work, frame)
                new.add(done.data)
                names.add(done.photometric)
                was_lossy = was_lossy or done.lossy
        return names, was_lossy, before

    def _in_place(self, stored: TransferSyntax, target: TransferSyntax, picture: Picture) -> bool:
        return stored.codec == target.codec == "native" and not picture.is_subsampled

    def _whole(
        self,
        draft: Draft,
        target: TransferSyntax,
        body: tuple[Part, ...],
        vr: str,
        uid: str | None = None,
    ) -> Transcoded:
        form = form_of(target.uid)
        parts = skeleton.skeleton(draft, form)
        length = length_of(body)
        if target.codec != "native":
            length = UNDEFINED
        elif length >= UNDEFINED:
            raise CannotTranscode("native pixel data cannot have 4 GiB or more")
        head = encode_head(PIXEL_DATA, vr, length, form)
        return self._transcoded((parts.before, head, *body, parts.after), target, uid)

    def _transcoded(
        self, parts: tuple[Part, ...], target: TransferSyntax, uid: str | None = None
    ) -> Transcoded:
        if target.uid == DEFLATED:
            parts = (self._deflated(parts),)
        return Transcoded(
            parts=parts,
            source=self.source,
            sop_class_uid=self.edited.sop_class_uid,
            sop_instance_uid=uid or self.edited.sop_instance_uid,
            transfer_syntax_uid=target.uid,
        )

    def _deflated(self, parts: tuple[Part, ...]) -> FileSlice:
        scratch = self._scratch()
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        for block in blocks_of(self.source, parts):
            scratch.write(deflater.compress(block))
        scratch.write(deflater.flush())
        if scratch.size % 2:
            scratch.write(b"\0")
        return scratch.whole()

    def _scratch(self) -> Scratch:
        return self.stack.enter_context(Scratch(self.transcoder.settings.folder))


def _draft(header: EncodedDataSet) -> Draft:
    header.root.complete()
    return Draft(header, header.root, header.charset)


def _picture(header: EncodedDataSet) -> Picture:
    try:
        return read_picture(header)
    except NoPicture as error:
        raise CannotTranscode(str(error)) from None

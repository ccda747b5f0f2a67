"""`dicom-router send`: sends files and folders to a Storage SCP."""

import dataclasses
import gc
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router.cli.endpoints import (
    AsOption,
    CalledOption,
    TlsAnyNameOption,
    TlsCaOption,
    TlsCertOption,
    TlsKeyOption,
    TlsOption,
    address,
    ae_title,
    tls_towards_peer,
)
from router.cli.options import Exit, JsonOption, fail
from router.cli.render import say_json, shown, size

if TYPE_CHECKING:
    from router.cli.outbox import Group, Item
    from router.cli.sending import Failure, Sending
    from router.net.requestor import OutgoingAssociation

_MOST_SHOWN = 20
_LOOK_AGAIN = 0.1


def send(
    files: Annotated[list[Path], typer.Argument(exists=True, help="Files, and folders of files.")],
    to: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="Where the peer listens.")],
    calling: AsOption = "DICOM_ROUTER",
    called: CalledOption = "ANY-SCP",
    associations: Annotated[
        int, typer.Option("--jobs", "-j", min=1, max=64, help="Associations at once.")
    ] = 1,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for each answer of the peer.")
    ] = 60.0,
    tls: TlsOption = False,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_any_name: TlsAnyNameOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send files and folders to a Storage SCP.

    Objects go out byte for byte, in the transfer syntax they are stored in. What is no DICOM file
    is passed over. Exits with 0 if every object was stored, 1 if one was not.
    """
    from router.cli.outbox import request_for
    from router.cli.sending import Sending
    from router.net.requestor import Timeouts, open_association

    host, port = address(to)
    calling, called = ae_title(calling), ae_title(called)
    context = tls_towards_peer(
        wanted=tls, ca=tls_ca, cert=tls_cert, key=tls_key, any_name=tls_any_name
    )
    timeouts = Timeouts(connect=min(timeout, 10.0), acse=timeout, dimse=timeout, network=timeout)

    def open_for(group: "Group") -> "OutgoingAssociation":
        request = request_for(group.pairs, calling=calling, called=called)
        return open_association(host, port, request, tls=context, timeouts=timeouts)

    # What is imported lives until the end: the collector need not look at it again.
    gc.freeze()
    items, skipped = _read(files)
    sending = Sending(open_for, width=associations)
    started = time.monotonic()
    _run(sending, items, watched=not as_json and sys.stderr.isatty())
    _report(sending, skipped, f"{host}:{port}", time.monotonic() - started, as_json=as_json)
    if sending.tally.failures:
        raise typer.Exit(Exit.FAILED)


def _read(paths: Sequence[Path]) -> tuple[list["Item"], list["Failure"]]:
    """What can be sent, and what is passed over; without anything to send the command ends."""
    from router.cli.outbox import Unsendable, find_files, read_item
    from router.cli.sending import Failure

    items, skipped = [], []
    for path in find_files(paths):
        try:
            items.append(read_item(path))
        except Unsendable as error:
            skipped.append(Failure(file=path, reason=error.reason, message=str(error)))
    if not items:
        _say_files("passed over", skipped)
        fail(Exit.FAILED, "no DICOM file to send")
    return items, skipped


def _run(sending: "Sending", items: Sequence["Item"], *, watched: bool) -> None:
    """Send in a thread of its own, so that Ctrl-C and the progress bar have this one."""
    from router.cli.outbox import groups

    # Not told by joining the thread: Python takes one for ended whose join Ctrl-C interrupted.
    ended = threading.Event()

    def run() -> None:
        try:
            sending.run(groups(items))
        finally:
            ended.set()

    try:
        threading.Thread(target=run, daemon=True).start()
        if watched:
            _watch(sending, ended, len(items))
        ended.wait()
    except KeyboardInterrupt:
        sending.stop()
        ended.wait()


def _watch(sending: "Sending", ended: threading.Event, total: int) -> None:
    """Show how far it is, until it ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        while not ended.wait(_LOOK_AGAIN):
            tally = sending.tally
            done = tally.sent + len(tally.failures)
            rate = tally.sent / (time.monotonic() - started)
            words = f"{rate:,.0f}/s" + f", {len(tally.failures)} failed" * bool(tally.failures)
            progress.update(task, completed=done, description=words)


def _report(
    sending: "Sending",
    skipped: Sequence["Failure"],
    where: str,
    seconds: float,
    *,
    as_json: bool,
) -> None:
    from router.cli.sending import NOT_TRIED

    tally = sending.tally
    if as_json:
        say_json(
            {
                "sent": tally.sent,
                "warnings": tally.warnings,
                "failed": len(tally.failures),
                "skipped": len(skipped),
                "bytes": tally.bytes,
                "seconds": round(seconds, 3),
                "associations": tally.associations,
                "failures": [dataclasses.asdict(failure) for failure in tally.failures],
                "passed_over": [dataclasses.asdict(failure) for failure in skipped],
            }
        )
        return
    _say_files("passed over", skipped)
    tried = [failure for failure in tally.failures if failure.reason != NOT_TRIED]
    _say_files("not stored", tried)
    if len(tried) < len(tally.failures):
        typer.echo(f"not stored: {len(tally.failures) - len(tried)} more, not tried", err=True)
    warned = f" ({tally.warnings} with a warning)" if tally.warnings else ""
    failed = f", {len(tally.failures)} failed" if tally.failures else ""
    passed_over = f", {len(skipped)} passed over" if skipped else ""
    pace = ""
    if tally.sent and seconds:
        pace = f": {size(tally.bytes)} in {seconds:.1f} s, {tally.sent / seconds:,.0f} objects/s"
    typer.echo(f"{tally.sent} sent to {where}{warned}{failed}{passed_over}{pace}")


def _say_files(what: str, failures: Sequence["Failure"]) -> None:
    for failure in failures[:_MOST_SHOWN]:
        typer.echo(shown(f"{what}: {failure.file}: {failure.message}"), err=True)
    if len(failures) > _MOST_SHOWN:
        typer.echo(f"{what}: {len(failures) - _MOST_SHOWN} more", err=True)

"""The site and the rule set in force in one process.

A change is taken up whole or not at all: a site and its rules are read together, and one mistake
in any of the files leaves everything as it was, with an error for each mistake in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from router import metrics
from router.config import Site
from router.ledger import Ledger, destinations, versions
from router.ledger.versions import Activation
from router.logs import get_logger
from router.rulebook.files import Signature, SiteFiles, read_files, rules_of, signature, watched
from router.rulebook.live import changed, lacks_threads, need_restart
from rules.documents.reading import DocumentError
from rules.routes import RouteTable

MOST_TOLD = 20  # mistakes that get a line of their own in the log

log = get_logger("rules")


class Rulebook:
    """`open` it, then `look` again every second. `table` and `site` may be asked by any thread."""

    def __init__(
        self, path: Path, site: Site, *, ledger: Ledger, who: str, leads: Callable[[], bool]
    ) -> None:
        """`path`: the site's file. `leads`: whether it is this process that puts files in force
        when they change: one does so, `run` or the conductor that leads; all others follow."""
        self._path = path
        self._first = site
        self._site = site
        self._ledger = ledger
        self._who = who
        self._leads = leads
        self._tell: list[Callable[[Site], None]] = []
        self._table: RouteTable | None = None
        self._shadow: RouteTable | None = None
        self._files: SiteFiles | None = None
        self._serial = 0
        self._taken: Signature = ()
        self._seen: Signature = ()
        self._led = False

    def table(self) -> RouteTable:
        """The rules in force."""
        if self._table is None:
            raise RuntimeError("the rulebook is not open")
        return self._table

    def shadow(self) -> RouteTable | None:
        """The rules that run beside them, if the site has any."""
        return self._shadow

    def site(self) -> Site:
        """The site in force."""
        return self._site

    def when_site_changes(self, tell: Callable[[Site], None]) -> None:
        """Call this with every new site, from the thread that looks."""
        self._tell.append(tell)

    def open(self) -> None:
        """Find the version in force, or put the files in force.

        DocumentError if the files have mistakes and the ledger knows no version in force either:
        a restart with a broken file goes on with what was in force. LedgerError.
        """
        self._taken = self._seen = signature(watched(self._path, self._site, None))
        try:
            files = read_files(self._path)
        except DocumentError as error:
            if self._newest() is None:
                raise
            self._refuse(error)
        else:
            self._led = self._leads()
            self._put_in_force(files, insist=False)
            self._files = files
            metrics.FILES_REFUSED.set(0)
        self._ensure_destinations()
        self._take_shadow()
        self._follow(anew=True)

    def look(self, *, insist: bool = False) -> None:
        """Take up what changed: in the files once they are at rest, in the ledger at once.

        `insist`: read the files now, and put them in force even after a rollback. LedgerError:
        nothing was taken up; the next look tries again.
        """
        table = self._files.table if self._files else None
        now = signature(watched(self._path, self._site, table, self._shadow))
        at_rest, self._seen = now == self._seen, now
        led, self._led = self._led, self._leads()
        # Who begins to lead may hold files that changed while nobody led.
        anew = insist or (at_rest and now != self._taken) or (self._led and not led)
        if anew:
            self._taken = ()
            self._take_files(insist=insist)
            self._taken = now
        self._follow(anew=anew)

    def _take_files(self, *, insist: bool) -> None:
        try:
            files = read_files(self._path)
            if not self._will_be_in_force(files, insist=insist):
                self._refuse_lost(files.site)
        except DocumentError as error:
            self._refuse(error)
            return
        self._put_in_force(files, insist=insist)
        self._files = files
        metrics.FILES_REFUSED.set(0)
        metrics.RELOADS.labels("applied").inc()
        self._take_site(files.site)
        self._take_shadow()

    def _take_shadow(self) -> None:
        """Its mistakes are told, and harm nobody: the shadow before it stays, if there was one."""
        folder, before = self._site.rules_shadow, self._shadow
        if folder is None:
            self._shadow = None
            return
        try:
            self._shadow = rules_of(self._site, folder=folder)
        except DocumentError as error:
            for problem in error.problems[:MOST_TOLD]:
                log.error("mistake in the shadow's rules", where=str(problem))
            return
        if before is None or before.version != self._shadow.version:
            log.info("shadow", version=self._shadow.version, routes=len(self._shadow.routes))

    def _refuse(self, error: DocumentError) -> None:
        metrics.FILES_REFUSED.set(1)
        metrics.RELOADS.labels("refused").inc()
        for problem in error.problems[:MOST_TOLD]:
            log.error("mistake in a file", where=str(problem))
        version = self._table.version if self._table else None
        log.error(
            "files not used: the rules in force stay",
            mistakes=len(error.problems),
            version=version,
        )

    def _refuse_lost(self, site: Site) -> None:
        """After a rollback the rules in force are not those of the files; they must fit, too."""
        if self._table is not None:
            rules_of(site, self._table.texts)

    def _will_be_in_force(self, files: SiteFiles, *, insist: bool) -> bool:
        with self._ledger.read() as connection:
            newest = versions.in_force(connection)
            if insist or newest is None or newest.source != "rollback":
                return True
            return not _in_use(connection, files.table, newest)

    def _put_in_force(self, files: SiteFiles, *, insist: bool) -> None:
        version, texts = files.table.version, files.table.texts
        with self._ledger.write() as connection:
            newest = versions.in_force(connection)
            decided = newest is not None and not insist
            if decided and (not self._led or _in_use(connection, files.table, newest)):
                return
            after = newest.serial if newest else 0
            versions.activate(connection, version, texts, who=self._who, after=after)

    def _take_site(self, site: Site) -> None:
        for name in need_restart(self._first, site):
            log.warning("setting changed: it takes effect after a restart", setting=name)
        now = changed(self._first, site)
        if now == self._site:
            return
        if lacks_threads(self._first, site):
            log.info(
                "more destinations than threads until a restart: slow ones may keep others waiting",
                threads=self._first.egress_workers,
                wanted=site.slots,
            )
        gone = set(self._site.destination_names) - set(now.destination_names)
        self._site = now
        self._ensure_destinations()
        for name in sorted(gone):
            log.warning("destination removed: what it is still owed waits", destination=name)
        for tell in self._tell:
            tell(now)
        log.info("site in force", destinations=len(now.destinations), sources=len(now.sources))

    def _ensure_destinations(self) -> None:
        with self._ledger.write() as connection:
            destinations.ensure(connection, self._site.destination_names)

    def _newest(self) -> Activation | None:
        with self._ledger.read() as connection:
            return versions.in_force(connection)

    def _follow(self, *, anew: bool) -> None:
        """Use the version in force; `anew`: compile it again even if it is the same."""
        with self._ledger.read() as connection:
            newest = versions.in_force(connection)
            if newest is None or (newest.serial == self._serial and not anew):
                return
            kept = versions.get(connection, newest.version)
        self._serial = newest.serial
        metrics.RULES_ROLLED_BACK.set(newest.source == "rollback")
        if self._files is not None and self._files.table.version == newest.version:
            self._use(self._files.table, newest)
        elif kept is not None:
            try:
                table = rules_of(self._site, kept.texts, fitting=False)
                # Its tables may have changed since: it goes by the name it has in the ledger.
                self._use(replace(table, version=kept.version), newest)
            except DocumentError as error:
                # Written for a later version of this program, or a table is not there.
                if self._table is None:
                    raise
                metrics.RELOADS.labels("not_followed").inc()
                for problem in error.problems[:MOST_TOLD]:
                    log.error("mistake in the version in force", where=str(problem))
                log.error("version not used: this process keeps its own", version=kept.version)

    def _use(self, table: RouteTable, activation: Activation) -> None:
        before = self._table.version if self._table else None
        self._table = table
        if before != table.version:
            log.info(
                "rules in force",
                version=table.version,
                before=before,
                routes=len(table.routes),
                source=activation.source,
                who=activation.who,
            )


def _in_use(connection: Connection, table: RouteTable, newest: Activation | None) -> bool:
    """Whether the files are what they were when they were last put in force.

    A new version comes of new tables, too; only after a rollback it takes new rules: a list that
    is exported every night must not end it.
    """
    last = versions.of_files(connection)
    if last is None or last.version == table.version:
        return last is not None
    if newest is None or newest.source != "rollback":
        return False
    kept = versions.get(connection, last.version)
    return kept is not None and dict(kept.texts) == dict(table.texts)

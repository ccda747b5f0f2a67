"""The rules in force, and how they change without a restart: whole or not at all.

Which version is in force, the ledger says. Files that changed are read with the whole site; if
nothing in them is wrong, their version is put in force in the ledger, and every process that
routes follows within a second. Tables and lists that rules refer to are read from the files.
"""

from router.rulebook.files import SiteFiles, read_files, rules_of
from router.rulebook.holder import Rulebook
from router.rulebook.shadow import Shadow
from router.rulebook.watch import Watch

__all__ = ["Rulebook", "Shadow", "SiteFiles", "Watch", "read_files", "rules_of"]

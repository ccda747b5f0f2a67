"""Results of rule tests as JUnit XML, which CI systems show."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from router.cli.options import Exit, fail
from router.cli.render import shown

if TYPE_CHECKING:
    from rules.scenarios.running import Result


def write_junit(path: Path, results: "Sequence[Result]") -> None:
    """A suite for each file, a case for each test. The end of the command if it cannot be."""
    from xml.etree import ElementTree

    failed = sum(not result.passed for result in results)
    counts = {"tests": str(len(results)), "failures": str(failed)}
    suites = ElementTree.Element("testsuites", counts)
    for file in dict.fromkeys(result.file for result in results):
        own = [result for result in results if result.file == file]
        failures = sum(not result.passed for result in own)
        suite = ElementTree.SubElement(
            suites, "testsuite", name=file, tests=str(len(own)), failures=str(failures)
        )
        for result in own:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                name=result.name,
                classname=file,
                file=file,
                line=str(result.line),
            )
            if not result.passed:
                differences = [shown(difference) for difference in result.differences]
                told = ElementTree.SubElement(case, "failure", message=differences[0])
                told.text = "\n".join([*differences, *map(shown, result.why)])
    try:
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        fail(Exit.FAILED, f"cannot write {path}: {error.strerror}")

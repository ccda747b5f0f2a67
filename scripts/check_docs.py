"""Checks the documents: links, fences, YAML, make targets; and that nothing private is committed.

What the documents say of settings, commands, metrics and rules is held to the code by tests.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```+)(\w*)\s*$")
MAKE = re.compile(r"`make ([a-z-]+)|^make ([a-z-]+)", re.MULTILINE)
# A path of one machine, or where it gets its packages from, helps nobody elsewhere.
PRIVATE = re.compile(r"/work/|/home/\w|/root/|https?://[^\s)/]*(?:pypi|npmjs|debian\.org)[^\s)]*")
TEXTS = {".md", ".py", ".toml", ".yaml", ".yml", ".sh", ".txt", ".ini", ".js", ""}


def main() -> int:
    files = committed()
    problems = [
        *(problem for path in files if path.suffix == ".md" for problem in check_document(path)),
        *(problem for path in files if path.suffix in TEXTS for problem in check_private(path)),
    ]
    for problem in problems:
        print(problem)
    documents = sum(path.suffix == ".md" for path in files)
    print(f"{documents} documents, {len(problems)} problems")
    return 1 if problems else 0


def committed() -> list[Path]:
    """The files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if (ROOT / name).is_file()]


def check_document(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    prose, blocks, unclosed = split(text)
    where = path.relative_to(ROOT)
    if unclosed:
        yield f"{where}:{unclosed}: a fence is opened and not closed"
    for target in LINK.findall(prose):
        yield from (f"{where}: {why}" for why in check_link(path, target))
    for line, language, body in blocks:
        if language in ("yaml", "yml"):
            yield from (f"{where}:{line}: {why}" for why in check_yaml(body))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for found in MAKE.findall(text):
        name = found[0] or found[1]
        if name not in targets:
            yield f"{where}: there is no `make {name}`"


def split(text: str) -> tuple[str, list[tuple[int, str, str]], int]:
    """The text outside fences; the blocks with line and language; the line of an open fence."""
    prose: list[str] = []
    blocks: list[tuple[int, str, str]] = []
    opened, language, body = 0, "", list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line.strip())
        if opened and fence and not fence[2]:
            blocks.append((opened, language, "\n".join(body)))
            opened = 0
        elif opened:
            body.append(line)
        elif fence:
            opened, language, body = number, fence[2], []
        else:
            prose.append(line)
    return "\n".join(prose), blocks, opened


def check_link(path: Path, target: str) -> Iterator[str]:
    if target.startswith(("http://", "https://", "mailto:")):
        return
    name, _, anchor = target.partition("#")
    found = (path.parent / name).resolve() if name else path
    if not found.exists():
        yield f"the link {target} leads nowhere"
    elif anchor and found.suffix == ".md" and anchor not in anchors(found):
        yield f"the link {target} leads to no heading"


def anchors(path: Path) -> set[str]:
    """The anchors of its headings, as the usual hosts make them."""
    prose = split(path.read_text(encoding="utf-8"))[0]
    headings = re.findall(r"^#+ +(.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_yaml(body: str) -> Iterator[str]:
    try:
        yaml.safe_load(body)
    except yaml.YAMLError as error:
        yield f"the YAML does not parse: {error}"


def check_private(path: Path) -> Iterator[str]:
    if path == Path(__file__).resolve():
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if PRIVATE.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: names one machine, or a registry"


if __name__ == "__main__":
    sys.exit(main())

"""The documentation: no dead links, no page that nobody finds, no message that no program prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "benchmarks" / "README.md",
        ROOT / "weights" / "README.md",
    ]
)
LONGEST_LINE = 105
README_LINES = 110
# The text of a link may go over lines; its target does not.
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`]*`", re.DOTALL | re.MULTILINE)

names = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def text(page: Path) -> str:
    """The page without what is code."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The file and the anchor of every relative link of a page."""
    for target in LINK.findall(text(page)):
        if not target.startswith(("http://", "https://", "mailto:")):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@names
def test_no_link_is_dead(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {target.name}#{anchor}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, to_read = set(), [ROOT / "README.md"]
    while to_read:
        page = to_read.pop()
        if page not in reached:
            reached.add(page)
            if page.suffix == ".md":
                to_read += [target for target, _ in links(page)]
    files = {path for path in (ROOT / "docs").rglob("*") if path.is_file()}
    assert files | set(PAGES) <= reached


@names
def test_no_line_is_too_long(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    # A row of a table, or an address, cannot be broken.
    long = [line for line in lines if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert not long


def test_the_readme_fits_on_a_screen() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


def printed_texts() -> list[str]:
    """Every text in the programs' source, with a line feed for each value filled in."""
    texts = []
    for folder in ("rtsep", "kernels/rtsep_kernels"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (
                        part.value if isinstance(part, ast.Constant) else "\n"
                        for part in node.values
                    )
                    texts.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return texts


def test_messages_that_are_explained_are_those_of_the_programs() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    explained = re.findall(r"\*\*`([^`]*)`\*\*", page)
    assert len(explained) > 20
    texts = printed_texts()
    for message in explained:
        parts = [part.strip() for part in " ".join(message.split()).split("...")]
        pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
        assert any(pattern.search(text) for text in texts), message


def test_the_way_to_a_new_model_is_that_of_the_code() -> None:
    """Every file that docs/adding.md names is there, and every line that it quotes stands in it."""
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:rtsep|tests|kernels|benchmarks|weights)/[^`\s]*)`", page)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
    quoted = re.findall(r"```\n# (\S+)\n(.*?)```", page, re.DOTALL)
    assert len(quoted) >= 5
    for path, lines in quoted:
        source = (ROOT / path).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines.splitlines() if line not in source] == [], path

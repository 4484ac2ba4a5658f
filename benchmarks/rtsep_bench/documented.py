"""Write the tables of figures in the documentation from the recorded results.

    python -m rtsep_bench.documented            name the pages whose tables are out of date
    python -m rtsep_bench.documented --write    write them

A page holds a table between `<!-- figures: NAME -->` and `<!-- end of figures -->`, where this module
writes it and a test compares it. `rtsep-bench claims` fills the same tables with new measurements.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rtsep_bench.measurements import RECORDED, NotMeasured, Results, read_results

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- figures: ([a-z-]+) -->\n.*?<!-- end of figures -->", re.DOTALL)

Figures = tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """A row of a table.

    label: the first cell. cells: a format string of the other cells, with ` | ` between them.
    figures: takes the figures from results, in the order of the fields; raises NotMeasured.
    """

    label: str
    cells: str
    figures: Callable[[Results], Figures]

    def figures_in(self, results: Results) -> Figures | None:
        """The figures of `results`; None if they were not measured."""
        try:
            return self.figures(results)
        except NotMeasured:
            return None

    def row(self, figures: Figures) -> str:
        """The row in Markdown."""
        return f"| {self.label} | {self.cells.format(*figures)} |"


@dataclass(frozen=True)
class Table:
    """A table of figures. sources: the measurements it is made from, whose machine is named below it."""

    headings: tuple[str, ...]
    lines: tuple[Line, ...]
    sources: tuple[str, ...]

    def markdown(self, results: Results) -> str:
        """The table and the machine it was measured on. Raises NotMeasured."""
        return "\n".join([
            f"| {' | '.join(self.headings)} |",
            "|---" * len(self.headings) + "|",
            *(line.row(line.figures(results)) for line in self.lines),
            "",
            _measured_on(results, self.sources),
        ])  # fmt: skip


def update(page: str, tables: dict[str, Table], results: Results) -> str:
    """The text of a page with each of its tables written anew.

    Raises NotMeasured, and KeyError for a table that is not in `tables`.
    """

    def block(found: re.Match[str]) -> str:
        name = found[1]
        table = tables[name].markdown(results)
        return f"<!-- figures: {name} -->\n{table}\n<!-- end of figures -->"

    return BLOCK.sub(block, page)


def pages() -> list[Path]:
    """All pages of the checkout that hold tables of figures."""
    texts = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in texts if BLOCK.search(path.read_text(encoding="utf-8"))]


def recorded() -> Results:
    """Every recorded result."""
    return read_results(RECORDED, [path.stem for path in RECORDED.glob("*.json")])


def main(argv: list[str] | None = None) -> int:
    """Write the tables, or name the pages that are out of date and return 1."""
    from rtsep_bench.documented_tables import TABLES

    parser = argparse.ArgumentParser(
        prog="python -m rtsep_bench.documented", description=main.__doc__
    )
    parser.add_argument("--write", action="store_true", help="write the tables into the pages")
    write = parser.parse_args(argv).write
    if not (ROOT / "docs").is_dir():
        parser.error(
            "the pages are not here: run this in a clone, installed with `pip install -e .`"
        )
    old = {path: path.read_text(encoding="utf-8") for path in pages()}
    new = {path: update(text, TABLES, recorded()) for path, text in old.items()}
    changed = [path for path in old if old[path] != new[path]]
    for path in changed:
        print(f"{path.relative_to(ROOT)}: {'written' if write else 'out of date, use --write'}")
        if write:
            path.write_text(new[path], encoding="utf-8")
    return 1 if changed and not write else 0


def _measured_on(results: Results, sources: tuple[str, ...]) -> str:
    reports = [results.report(name) for name in sources]
    machines = {
        f"{machine['cpu']}, {machine['cores']} cores, kernel set `{machine['kernel_set']}`"
        for machine in (report["machine"] for report in reports)
    }
    dates = sorted({report["date"][:10] for report in reports})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{'; '.join(sorted(machines))}; {span}."


if __name__ == "__main__":
    sys.exit(main())

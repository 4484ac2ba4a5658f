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
from pathlib import Path

from rtsep_bench.documented_tables import TABLES
from rtsep_bench.figure_table import Table
from rtsep_bench.measurements import RECORDED, Results, read_results

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"<!-- figures: ([a-z-]+) -->\n.*?<!-- end of figures -->", re.DOTALL)


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


if __name__ == "__main__":
    sys.exit(main())

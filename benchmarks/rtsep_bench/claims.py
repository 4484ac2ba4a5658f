"""`rtsep-bench claims`: measure again what README.md and docs/latency.md say in figures.

Each measurement is the subcommand that the page's figures come from, in a process of its own, as one
would start it by hand. Afterwards the sentences of the pages stand beside the same ones with the
figures found here.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.errors import UsageError
from rtsep_bench.documented import claims
from rtsep_bench.measurements import LONG, RECORDED, SHORT, Results, read_results
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    parser.add_argument(
        "--only", metavar="NAME,...",
        help=f"of {', '.join({**SHORT, **LONG})} (default: all but those of ten minutes, the last"
        f" {len(LONG)})",
    )  # fmt: skip
    parser.add_argument("--long", action="store_true", help="those of ten minutes, too")
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="keep the results of each as DIR/NAME.json"
    )


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    known = {**SHORT, **LONG}
    chosen = _chosen(arguments)
    with ExitStack() as ending:
        folder = arguments.into
        if folder is None:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="rtsep-bench-")))
        folder.mkdir(parents=True, exist_ok=True)
        done = []
        for number, name in enumerate(chosen, 1):
            say(f"{number} of {len(chosen)}: rtsep-bench {known[name]}")
            words = [*known[name].split(), "--json", str(folder / f"{name}.json")]
            if subprocess.run([sys.executable, "-m", "rtsep.cli.bench", *words]).returncode == 0:
                done.append(name)
        here = read_results(folder, done)
    rows = list(_compare(read_results(RECORDED, known), here))
    notes = ["What the figures mean: README.md, docs/latency.md, benchmarks/README.md."]
    failures = [f"rtsep-bench {known[name]}: failed" for name in chosen if name not in done]
    return Report("claims", {"measurements": chosen}, rows, notes, failures)


def tables(report: Report) -> list[Table]:
    """Every claim, as documented and as found here."""
    from rich.table import Table

    table = Table(title="what the documentation says, and what this machine does")
    for heading in ("", "documented", "here"):
        table.add_column(heading)
    for row in report.rows:
        table.add_row(*map(_plain, (row.contender, row.more["documented"], row.more["here"])))
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """Every figure that can be, relative to the documented one."""
    figure.set_size_inches(9, 1.5 + 0.25 * len(report.rows))
    axes = figure.add_subplot()
    for at, row in enumerate(report.rows):
        pairs = zip(row.more["here_figures"], row.more["documented_figures"])
        ratios = [here / said for here, said in pairs if here > 0 and said > 0]
        axes.plot(ratios, [at] * len(ratios), "o", color="black", alpha=0.6)
    axes.axvline(1, color="tab:red", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(report.rows)), [_plain(row.contender) for row in report.rows])
    axes.tick_params("y", labelsize=8)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, which="both")
    axes.set_xlabel("each figure over the documented one")
    caption(report, figure, "This machine beside the documentation")


def _plain(markdown: str) -> str:
    """Without marks, and with dots in place of a table's lines."""
    return markdown.strip("| ").replace(" | ", " \u00b7 ").replace("`", "").replace("*", "")


def _chosen(arguments: argparse.Namespace) -> list[str]:
    if arguments.only is None:
        return list({**SHORT, **LONG} if arguments.long else SHORT)
    names = arguments.only.split(",")
    for name in names:
        if name not in SHORT and name not in LONG:
            raise UsageError(
                f"--only: there is no measurement {name!r}: choose from {', '.join({**SHORT, **LONG})}"
            )
    return names


def _compare(documented: Results, here: Results) -> Iterator[Row]:
    for claim in claims():
        said, found = claim.figures_in(documented), claim.figures_in(here)
        if said is not None and found is not None:
            more = {
                "documented": claim.text.format(*said), "here": claim.text.format(*found),
                "documented_figures": said, "here_figures": found,
            }  # fmt: skip
            yield Row(claim.about, claim.page, 1, more=more)

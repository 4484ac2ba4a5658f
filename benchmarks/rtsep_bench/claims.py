"""`rtsep-bench claims`: measure the documentation's figures again, on this machine.

Each measurement is the subcommand that wrote the recorded results, in a process of its own. Then each
row of the documentation's tables is printed twice: as recorded, and with the figures of this machine.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.errors import UsageError
from rtsep_bench.child import command
from rtsep_bench.documented import recorded
from rtsep_bench.documented_tables import TABLES
from rtsep_bench.measurements import LONG, SHORT, Results, read_results
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    parser.add_argument(
        "--only", metavar="NAME,...",
        help=f"measurements to run, of {', '.join({**SHORT, **LONG})} (default: all but the last"
        f" {len(LONG)}, which take ten minutes each)",
    )  # fmt: skip
    parser.add_argument(
        "--long", action="store_true", help="run the measurements of ten minutes, too"
    )
    parser.add_argument(
        "--into", type=Path, metavar="DIR", help="keep the results in DIR, one NAME.json each"
    )


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is called with a line before each measurement."""
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
            if subprocess.run(command("rtsep.cli.bench", *words)).returncode == 0:
                done.append(name)
        here = read_results(folder, done)
    rows = list(_compare(recorded(), here))
    notes = ["What the figures mean: docs/performance.md, benchmarks/README.md."]
    failures = [f"rtsep-bench {known[name]}: failed" for name in chosen if name not in done]
    return Report("claims", {"measurements": chosen}, rows, notes, failures)


def tables(report: Report) -> list[Table]:
    """Every row of the documentation's tables that was measured: as documented, and here."""
    from rich.table import Table

    table = Table(title="the documentation's figures, and this machine's")
    for heading in ("", "documented", "here"):
        table.add_column(heading)
    for row in report.rows:
        table.add_row(*map(_plain, (row.contender, row.more["documented"], row.more["here"])))
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """Every positive figure, relative to the documented one."""
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
    """A cell without Markdown's marks, with dots in place of the lines between cells."""
    return markdown.replace(" | ", " \u00b7 ").replace("`", "").replace("*", "")


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
    for name, table in TABLES.items():
        for line in table.lines:
            said, found = line.figures_in(documented), line.figures_in(here)
            if said is not None and found is not None:
                more = {
                    "documented": line.cells.format(*said), "here": line.cells.format(*found),
                    "documented_figures": said, "here_figures": found,
                }  # fmt: skip
                yield Row(f"{name}: {line.label}", name, 1, more=more)

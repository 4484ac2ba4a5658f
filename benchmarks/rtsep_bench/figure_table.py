"""A table of figures in the documentation: rows made from recorded results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtsep_bench.measurements import NotMeasured, Results

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


def _measured_on(results: Results, sources: tuple[str, ...]) -> str:
    reports = [results.report(name) for name in sources]
    machines = {
        f"{machine['cpu']}, {machine['cores']} cores, kernel set `{machine['kernel_set']}`"
        for machine in (report["machine"] for report in reports)
    }
    dates = sorted({report["date"][:10] for report in reports})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{'; '.join(sorted(machines))}; {span}."

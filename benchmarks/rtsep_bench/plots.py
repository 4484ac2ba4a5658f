"""The one kind of plot that the suite draws: bars in groups, with what was measured beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rtsep_bench.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GROUP_WIDTH = 0.8


def grouped_bars(
    axes: Axes,
    groups: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    label: str,
    marks: Mapping[str, Sequence[float | None]] | None = None,
) -> None:
    """Draw one group of bars per name in `groups`, in it one bar per series.

    series, marks: by name, one value per group; None leaves a gap. A mark is a dash above or on its
    bar (the median beside the minimum, say).
    """
    width = GROUP_WIDTH / len(series)
    for index, (name, values) in enumerate(series.items()):
        offset = (index + 0.5) * width - GROUP_WIDTH / 2
        there = [(at + offset, value) for at, value in enumerate(values) if value is not None]
        axes.bar([x for x, _ in there], [value for _, value in there], width, label=name)
        for at, value in enumerate((marks or {}).get(name, ())):
            if value is not None:
                left, right = at + offset - 0.35 * width, at + offset + 0.35 * width
                axes.plot([left, right], [value, value], color="black", linewidth=1)
    axes.set_xticks(range(len(groups)), groups, rotation=30, ha="right")
    axes.set_ylabel(label)
    axes.grid(axis="y", alpha=0.3)
    axes.margins(y=0.2)  # room for the legend
    if len(series) > 1:
        axes.legend()


def caption(report: Report, figure: Figure, title: str) -> None:
    """Head a figure with its title and the machine that it was measured on."""
    machine = report.machine
    cores, kernel_set = machine["usable_cores"], machine["kernel_set"]
    figure.suptitle(f"{title}\n{machine['cpu']}, {cores} cores, kernels {kernel_set}", fontsize=10)

"""`rtsep-bench peers`: the same network in rtsep and in other runtimes, as far as they are installed.

For each case, every contender first computes the same magnitudes and is compared with torch in
float64 (with the NumPy reference in float64 where torch is not installed), so that a difference is
its own rounding; one that is off by more than its tolerance ends the run. Only then are they timed, in
interleaved rounds, each net on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtsep.cli.numbers import count
from rtsep.errors import RtsepError, UsageError
from rtsep.nets.precision import find_precision
from rtsep.training.onnx_files import WITH_ONNX
from rtsep.weights.library import model_named
from rtsep_bench import choose_weights, options
from rtsep_bench.contenders import (
    RTSEP,
    RTSEP_AUTO,
    Contender,
    installed_runtimes,
    missing_runtimes,
    need_onnx,
    open_contender,
)
from rtsep_bench.exact import exact_masks, reference_name
from rtsep_bench.memory import contender_peak_rss_mb
from rtsep_bench.net_case import NetCase, cases_of, read_arrays, write_case
from rtsep_bench.plots import caption, grouped_bars
from rtsep_bench.report import Report, Row, figures_table
from rtsep_bench.rounds import interleave
from rtsep_kernels.precision import AUTO

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

# Calls in a row per round: the first finds the caches full of another contender's weights.
CALLS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_rounds(parser, 20)
    parser.add_argument(
        "--cases", metavar="CASE,...",
        help="of unet-T128, four-unets-T128, unet-T512, unet-T64; of other networks KIND-T192,"
        " four-KIND-T192, or parallel-KIND-T192 where one net computes all stems (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=count, default=2, metavar="N",
        help="nets at the same time in the case of several (default: %(default)s)",
    )  # fmt: skip
    options.add_bins(parser)
    # Where stems share a softmax a net gives logits, of any size: no tolerance fits them. The nets
    # of those models are the others' but for that.
    options.add_model(parser, lambda config: config.output == "sigmoid")
    options.add_weights(parser)
    parser.add_argument(
        "--no-rss", action="store_true", help="do not measure memory (a process per contender)"
    )


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on.

    Raises RtsepError where a contender's results differ, UsageError for an unknown case.
    """
    config = model_named(arguments.model)
    cases = _chosen_cases(cases_of(config, arguments.bins, arguments.threads), arguments.cases)
    kind = choose_weights.choose(config, arguments.weights, say)
    stems = choose_weights.load(config, kind)
    names = [
        name for name in installed_runtimes() if config.kind in WITH_ONNX or not need_onnx([name])
    ]
    chosen = find_precision(AUTO, paced=True, config=config)
    missing = missing_runtimes()
    if missing is not None:
        say(missing)
    rows: list[Row] = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="rtsep-bench-") as folder:
            write_case(case, stems, Path(folder), need_onnx(names))
            rows += _measure_case(Path(folder), names, arguments, say)
    settings = {"rounds": arguments.rounds, "calls_per_round": CALLS, "bins": arguments.bins}
    settings |= {"model": config.name, "weights": kind, "cases": [case.name for case in cases]}
    notes = [
        choose_weights.describe(config, kind),
        f"Difference: largest of all masks, to {reference_name()}; checked before timing.",
        "Ratio: time over that of rtsep in float32, the median of the rounds, so above 1 rtsep is"
        f" faster; to auto: over that of {RTSEP_AUTO}, which runs in {chosen.precision} ({chosen.why})"
        " as with devices. openvino-default: as OpenVINO comes, in bfloat16 where the processor has it.",
        *([] if missing is None else [missing]),
    ]
    return Report("peers", settings, rows, notes)


def _chosen_cases(known: Mapping[str, NetCase], text: str | None) -> list[NetCase]:
    names = list(known) if text is None else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise UsageError(f"--cases: there is no case {name!r}: choose from {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]


def _measure_case(
    folder: Path, names: Sequence[str], arguments: argparse.Namespace, say: Callable[[str], None]
) -> list[Row]:
    """The rows of the case in `folder`, one per contender."""
    # Memory first: the children find the cores as free as the timed runs will.
    peaks_mb: dict[str, float | None] = {}
    if not arguments.no_rss:
        peaks_mb = {name: contender_peak_rss_mb(name, folder) for name in names}
    contenders = {name: open_contender(name, folder) for name in names}
    case = contenders[RTSEP].case
    try:
        say(f"{case.name}: comparing {', '.join(names)}")
        differences = compare(contenders, folder)
        say(f"{case.name}: timing, rounds: {arguments.rounds}")
        runs = {name: contender.run for name, contender in contenders.items()}
        timings = interleave(runs, arguments.rounds, CALLS)
    finally:
        for contender in contenders.values():
            contender.close()
    return [
        Row.timed(
            name, case.name, case.threads, timing,
            max_abs_difference=differences[name],
            peak_rss_mb=peaks_mb.get(name),
            ratio_to_rtsep=timing.ratio_to(timings[RTSEP]),
            ratio_to_rtsep_auto=timing.ratio_to(timings[RTSEP_AUTO]),
        )
        for name, timing in timings.items()
    ]  # fmt: skip


def compare(contenders: Mapping[str, Contender], folder: Path) -> dict[str, float]:
    """Run every contender once; returns the largest difference of its masks to the reference's.

    folder: of the case.  Raises RtsepError where a difference exceeds the contender's tolerance or is
    no number.
    """
    for contender in contenders.values():
        contender.run()
    differences = dict.fromkeys(contenders, 0.0)
    case = contenders[RTSEP].case
    masks_of: dict[str, np.ndarray] = {}
    for net, stem in enumerate(case.nets):
        if stem not in masks_of:
            arrays, magnitudes = read_arrays(folder, stem), contenders[RTSEP].magnitudes
            masks_of[stem] = exact_masks(case.config, arrays, magnitudes)
        for name, contender in contenders.items():
            difference = float(np.abs(contender.masks(net) - masks_of[stem]).max())
            if not difference <= contender.tolerance:
                raise RtsepError(
                    f"{name} on {case.name}: masks of {stem} differ from {reference_name()} by"
                    f" {difference:.1e}, more than {contender.tolerance:.0e}: nothing was timed"
                )
            differences[name] = max(differences[name], difference)
    return differences


def tables(report: Report) -> Iterator[Table]:
    """One table per case."""
    for case in report.settings["cases"]:
        rows = [row for row in report.rows if row.case == case]
        table = figures_table(
            f"{case}, {rows[0].threads} thread(s)",
            ["contender"],
            ["min ms", "median ms", "ratio", "to auto", "difference", "peak RSS MB"],
        )
        for row in rows:
            rss = "" if row.peak_rss_mb is None else f"{row.peak_rss_mb:.0f}"
            table.add_row(
                row.contender, f"{row.min_ms:.2f}", f"{row.median_ms:.2f}",
                f"{row.more['ratio_to_rtsep']:.2f}", f"{row.more['ratio_to_rtsep_auto']:.2f}",
                f"{row.max_abs_difference:.1e}", rss,
            )  # fmt: skip
        yield table


def plot(report: Report, figure: Figure) -> None:
    """Milliseconds, one part per case: bars for the fastest call, dashes for the median."""
    cases = report.settings["cases"]
    figure.set_size_inches(2 + 3 * len(cases), 5)
    for case, axes in zip(cases, figure.subplots(1, len(cases), squeeze=False)[0]):
        rows = [row for row in report.rows if row.case == case]
        best, usual = [row.min_ms for row in rows], [row.median_ms for row in rows]
        names = [row.contender for row in rows]
        grouped_bars(axes, names, {case: best}, "ms, fastest (dash: median)", {case: usual})
        axes.set_title(f"{case}, {rows[0].threads} thread(s)")
    caption(
        report, figure, f"a net of {report.settings['model']}, {report.settings['weights']} weights"
    )

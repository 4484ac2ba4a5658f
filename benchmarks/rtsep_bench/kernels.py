"""`rtsep-bench kernels`: every layer of the U-Net and the whole net beside the machine's FMA peak.

The fast way (what separates music), the general way (im2col, GEMM, col2im), and GEMM beside NumPy's
BLAS on the layers' matrix shapes; everything single-threaded and in the same interleaved rounds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.cli.numbers import count
from rtsep.nets.registry import ModelConfig
from rtsep.nets.unet import LAYERS, UNet, UNetState
from rtsep.weights.library import model_named
from rtsep.weights.store import StemArrays
from rtsep_bench import choose_weights, options
from rtsep_bench.fast_layers import executed_flop, layer_input, layer_output, only
from rtsep_bench.fma_peak import FLOP_PER_TURN, TURNS, peak_action
from rtsep_bench.layers import GeneralLayer, Layer, unet_layers
from rtsep_bench.plots import caption, grouped_bars
from rtsep_bench.report import Report, Row, figures_table, import_extra
from rtsep_bench.rounds import Timing, interleave
from rtsep_bench.sound import music_magnitudes
from rtsep_kernels.gemm import gemm, gemm_workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

# Calls in a row per round: the first brings weights and images into the caches.
CALLS = 3

PEAK, FAST, GENERAL, GEMM, BLAS = (
    "fma-peak", "rtsep-fast", "rtsep-general", "rtsep-gemm", "numpy-blas",
)  # fmt: skip
CALL = "call"

Key = tuple[str, str]
Masks = NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_rounds(parser, 20)
    parser.add_argument(
        "--frames", type=options.grid, default=options.DEFAULT_FRAMES, metavar="T",
        help="frames of the image, a multiple of 64 (default: %(default)s)",
    )  # fmt: skip
    options.add_bins(parser)
    parser.add_argument(
        "--threads", type=count, default=1, metavar="N",
        help="time N whole nets on N threads, too, beside the peak of N threads",
    )  # fmt: skip
    options.add_model(parser)
    options.add_weights(parser)


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    thread_pools = import_extra("threadpoolctl", "bench", "rtsep-bench kernels")
    config = model_named(arguments.model)
    kind = choose_weights.choose(config, arguments.weights, say)
    stem = config.stems[0]
    arrays = choose_weights.load(config, kind)[stem]
    say("compiling and running every kernel once")
    bench = KernelBench(arguments.frames, arguments.bins, arguments.threads, config, arrays)
    say(f"timing {len(bench.actions)} things, rounds: {arguments.rounds}")
    with thread_pools.threadpool_limits(1, user_api="blas"):
        timings = interleave(bench.actions, arguments.rounds, CALLS)
    settings = {name: getattr(arguments, name) for name in ("rounds", "frames", "bins", "threads")}
    settings |= {"calls_per_round": CALLS, "model": config.name, "stem": stem, "weights": kind}
    rows = bench.rows(timings)
    notes = [
        choose_weights.describe(config, kind),
        *(_peak_note(row) for row in rows if row.contender == PEAK),
        "MFLOP: executed. GFLOP/s and % of the FMA peak: of the fastest call. Difference: of the"
        " general way's output to the fast way's, as a part of the largest output.",
    ]
    return Report("kernels", settings, rows, notes)


def _peak_note(row: Row) -> str:
    best, usual = row.more["gflops"], row.more["mflop"] / (row.median_ms or 1)
    threads = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    return f"FMA peak of {threads}: {best:.1f} GFLOP/s (median {usual:.1f})."


class KernelBench:
    """All that is measured, as calls without arguments, by (contender, case)."""

    def __init__(
        self, frames: int, bins: int, threads: int, config: ModelConfig, arrays: StemArrays
    ):
        self.frames, self.threads = frames, threads
        net, state = UNet(config, arrays), UNetState(frames, bins)
        masks = np.zeros((frames, 2, bins), np.float32)
        magnitudes = music_magnitudes(frames, bins)
        state.run(net, magnitudes, masks)

        self.actions: dict[Key, Callable[[], object]] = {(PEAK, PEAK): peak_action()}
        self.flop: dict[Key, int] = {(PEAK, PEAK): TURNS * FLOP_PER_TURN}
        # Largest difference to the contender it is compared with, and that one's largest output.
        self.difference: dict[Key, tuple[float, float]] = {}
        self.threads_of: dict[Key, int] = {}
        self._add(FAST, self.case(CALL), only(state, net, masks, None), None)
        self._add_whole(lambda: state.run(net, magnitudes, masks), bins)

        layers = unet_layers(config, arrays, frames, bins)
        general = [GeneralLayer(layer, layer_input(state, layer.name).copy()) for layer in layers]
        for layer, way in zip(layers, general):
            self._add_layer(layer, way, state, net, masks, bins)
        self._add(
            GENERAL, self.case("unet"), lambda: [way.run() for way in general],
            sum(layer.dense_flop for layer in layers),
        )  # fmt: skip
        for layer in layers:
            self._add_gemm(layer)
        if threads > 1:
            self._add_threads(net, magnitudes, bins)

    def case(self, what: str) -> str:
        """The name of a case: unet-T128, conv3-T128, ..."""
        return f"{what}-T{self.frames}"

    def rows(self, timings: dict[Key, Timing]) -> list[Row]:
        """One row per measurement, with GFLOP/s and per cent of the peak."""
        peak_gflops = {
            self.threads_of.get(key, 1): self._gflops(key, timing)
            for key, timing in timings.items()
            if key[0] == PEAK
        }
        rows = []
        for key, timing in timings.items():
            threads = self.threads_of.get(key, 1)
            more: dict[str, Any] = {}
            if key in self.flop:
                gflops = self._gflops(key, timing)
                more["mflop"], more["gflops"] = self.flop[key] / 1e6, gflops
                more["percent_of_peak"] = 100 * gflops / peak_gflops[threads]
            if key in self.difference:
                more["max_abs_difference"], more["max_abs_output"] = self.difference[key]
            contender, case = key
            rows.append(Row.timed(contender, case, threads, timing, **more))
        return rows

    def _gflops(self, key: Key, timing: Timing) -> float:
        return self.flop[key] / timing.min_ms / 1e6

    def _add(
        self, contender: str, case: str, action: Callable[[], object], flop: int | None
    ) -> None:
        self.actions[contender, case] = action
        if flop is not None:
            self.flop[contender, case] = flop

    def _add_whole(self, run: Callable[[], None], bins: int) -> None:
        flop = sum(executed_flop(name, self.frames, bins) for name in LAYERS)
        self._add(FAST, self.case("unet"), run, flop)

    def _add_layer(
        self,
        layer: Layer,
        general: GeneralLayer,
        state: UNetState,
        net: UNet,
        masks: Masks,
        bins: int,
    ) -> None:
        case = self.case(layer.name)
        flop = executed_flop(layer.name, self.frames, bins)
        self._add(FAST, case, only(state, net, masks, layer.name), flop)
        self._add(GENERAL, case, general.run, layer.dense_flop)
        self.difference[GENERAL, case] = _differ(
            general.run(), layer_output(state, masks, layer.name)
        )

    def _add_gemm(self, layer: Layer) -> None:
        m, n, k = layer.gemm_shape
        random = np.random.default_rng(k)
        a = random.standard_normal((m, k), np.float32)
        # Scaled so that the sums are of the order of one.
        b = random.standard_normal((k, n), np.float32) / np.float32(np.sqrt(k))
        ours, theirs = np.zeros((m, n), np.float32), np.zeros((m, n), np.float32)
        workspace = gemm_workspace(n)
        case = self.case(f"gemm-{layer.name}")
        self._add(GEMM, case, lambda: gemm(a, b, ours, workspace, False), 2 * m * n * k)
        self._add(BLAS, case, lambda: np.matmul(a, b, out=theirs), 2 * m * n * k)
        gemm(a, b, ours, workspace, False)
        self.difference[GEMM, case] = _differ(ours, np.matmul(a, b, out=theirs))

    def _add_threads(self, net: UNet, magnitudes: NDArray[np.float32], bins: int) -> None:
        """N nets (with the same weights, each in a state of its own) on N threads."""
        pool = ThreadPoolExecutor(self.threads)
        outs = [np.zeros((self.frames, 2, bins), np.float32) for _ in range(self.threads)]
        states = [UNetState(self.frames, bins) for _ in outs]
        peaks = [peak_action() for _ in outs]
        case = self.case(f"{self.threads}-unets")

        def run(index: int) -> None:
            states[index].run(net, magnitudes, outs[index])

        def peak(index: int) -> None:
            peaks[index]()

        indices = range(self.threads)
        flop = self.threads * self.flop[FAST, self.case("unet")]
        self._add(FAST, case, lambda: list(pool.map(run, indices)), flop)
        peak_case = f"{PEAK}-{self.threads}-threads"
        peak_flop = self.threads * self.flop[PEAK, PEAK]
        self._add(PEAK, peak_case, lambda: list(pool.map(peak, indices)), peak_flop)
        self.threads_of[FAST, case] = self.threads_of[PEAK, peak_case] = self.threads


def _differ(result: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    return float(np.abs(result - wanted).max()), float(np.abs(wanted).max())


def tables(report: Report) -> Iterator[Table]:
    """One line per layer and net: fast, general, GEMM and BLAS side by side."""
    rows = {(row.contender, row.case): row for row in report.rows}
    suffix = f"-T{report.settings['frames']}"
    layers = figures_table(
        f"kernels, T = {report.settings['frames']}, F = {report.settings['bins']}", ["layer"], [
        "fast min", "median ms", "MFLOP", "GFLOP/s", "% peak", "general min", "median ms",
        "% peak", "difference", "GEMM min ms", "% peak", "BLAS min ms", "% peak",
    ])  # fmt: skip
    threads = report.settings["threads"]
    for name in (*LAYERS, "unet", f"{threads}-unets", CALL):
        fast, general = rows.get((FAST, name + suffix)), rows.get((GENERAL, name + suffix))
        gemm, blas = (rows.get((who, f"gemm-{name}{suffix}")) for who in (GEMM, BLAS))
        if fast is None:
            continue
        if name == "unet":
            layers.add_section()
        layers.add_row(
            name, _cell(fast, "min_ms"), _cell(fast, "median_ms"), _cell(fast, "mflop"),
            _cell(fast, "gflops"), _cell(fast, "percent_of_peak"), _cell(general, "min_ms"),
            _cell(general, "median_ms"), _cell(general, "percent_of_peak"),
            _relative_difference(general), _cell(gemm, "min_ms"),
            _cell(gemm, "percent_of_peak"), _cell(blas, "min_ms"), _cell(blas, "percent_of_peak"),
        )  # fmt: skip
    yield layers


def _cell(row: Row | None, name: str) -> str:
    value = None if row is None else row.as_json().get(name)
    if value is None:
        return ""
    return f"{value:.3f}" if name.endswith("_ms") else f"{value:.1f}"


def _relative_difference(row: Row | None) -> str:
    if row is None or row.max_abs_difference is None:
        return ""
    return f"{row.max_abs_difference / row.more['max_abs_output']:.1e}"


def plot(report: Report, figure: Figure) -> None:
    """Per cent of the peak, layer by layer."""
    figure.set_size_inches(12, 5)
    names = [*LAYERS, "unet"]
    suffix = f"-T{report.settings['frames']}"
    percent = {(row.contender, row.case): row.more.get("percent_of_peak") for row in report.rows}
    series = {
        "fast": [percent[FAST, name + suffix] for name in names],
        "general": [percent[GENERAL, name + suffix] for name in names],
        "GEMM alone": [percent.get((GEMM, f"gemm-{name}{suffix}")) for name in names],
        "NumPy's BLAS": [percent.get((BLAS, f"gemm-{name}{suffix}")) for name in names],
    }
    grouped_bars(figure.subplots(), names, series, "% of the FMA peak of one core")
    caption(report, figure, f"kernels, {report.settings['model']}, T = {report.settings['frames']}")

"""`rtsep-bench offline`: separation of a song: speed, start-up, memory, and agreement.

Speed: whole songs through rtsep.Separator, all models in the same interleaved rounds. Start-up and
memory: once per model, in a process of its own. Agreement: stems of two-stem separation against the
official pipeline as benchmarks/rtsep_bench/official.py has it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.cli.numbers import count
from rtsep.cli.precision_argument import add_precision
from rtsep.constants import SAMPLE_RATE
from rtsep.environment import usable_cores
from rtsep.nets.precision import find_precision
from rtsep.nets.registry import ModelConfig, find_model
from rtsep.offline.separator import Separator
from rtsep_bench import choose_weights, options
from rtsep_bench.agreement import agreement_db
from rtsep_bench.exact import reference_name
from rtsep_bench.offline_child import StartUp, measure_start_up
from rtsep_bench.plots import caption, grouped_bars
from rtsep_bench.report import Report, Row, figures_table
from rtsep_bench.rounds import Timing, interleave
from rtsep_bench.sound import music, song

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

    from rtsep_kernels.precision import Precision

SPEED, AGREEMENT = "offline", "agreement"
MODELS = "spleeter:2stems,spleeter:4stems,spleeter:5stems"
AGREEMENT_MODEL = "spleeter:2stems"
DEFAULT_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_rounds(parser, 3)
    parser.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="a song, repeated if it is shorter (default: a seeded sound like music)",
    )
    parser.add_argument(
        "--seconds", type=options.seconds, default=DEFAULT_SECONDS, metavar="S",
        help="how much of it to separate (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--models", metavar="MODEL,...", default=MODELS, help="default: %(default)s"
    )
    parser.add_argument(
        "--threads", type=count, default=usable_cores(), metavar="N",
        help="nets computed at the same time (default: one per core, here %(default)s)",
    )  # fmt: skip
    options.add_weights(parser)
    add_precision(parser, "f32")


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    configs = [find_model(name.strip()) for name in arguments.models.split(",")]
    configs = list(dict.fromkeys(configs))
    agreeing = find_model(AGREEMENT_MODEL)
    # Every model is looked up, and fetched where that was asked for, before anything takes long.
    kinds = {
        config: choose_weights.choose(config, arguments.weights, say)
        for config in dict.fromkeys([*configs, agreeing])
    }
    precision = find_precision(arguments.precision, paced=False).precision
    if arguments.input is None:
        audio = music(arguments.seconds)
    else:
        audio = song(arguments.input, arguments.seconds)
    with tempfile.TemporaryDirectory(prefix="rtsep-bench-") as temporary:
        bench = OfflineBench(audio, kinds, arguments.threads, precision, Path(temporary))
        say(f"start-up of {', '.join(config.name for config in configs)}")
        start_ups = {config: bench.start_up(config) for config in configs}
        say(f"timing, rounds: {arguments.rounds}")
        timings = interleave(
            {config: bench.separation(config) for config in configs}, arguments.rounds, 1
        )
        rows = [bench.speed_row(config, timings[config], start_ups[config]) for config in configs]
        say(f"agreement of {agreeing.name} with the official pipeline")
        rows += bench.agreement_rows(agreeing)
    settings = {
        "rounds": arguments.rounds, "threads": arguments.threads, "seconds": bench.seconds,
        "precision": precision,
        "input": "music-like sound, seed 0" if arguments.input is None else arguments.input.name,
        "weights": {config.name: kind for config, kind in kinds.items()},
    }  # fmt: skip
    notes = [
        f"{bench.seconds:.1f} s of {settings['input']}, 44.1 kHz stereo.",
        *(choose_weights.describe(config, kind) for config, kind in kinds.items()),
        "First output: from starting Python to the first samples, weights checked and loaded.",
        f"Agreement: with the official pipeline in float64, nets by {reference_name()}.",
    ]
    return Report("offline", settings, rows, notes)


class OfflineBench:
    """The song, and a weights folder for each model.

    kinds: genuine or made-up, by model.  folder: empty, for the song and made-up weights.
    """

    def __init__(
        self,
        audio: NDArray[np.float32],
        kinds: dict[ModelConfig, str],
        threads: int,
        precision: Precision,
        folder: Path,
    ):
        self.audio, self.kinds, self.threads, self.precision = audio, kinds, threads, precision
        self.seconds = len(audio) / SAMPLE_RATE
        self._song = folder / "song.npy"
        np.save(self._song, audio)
        made_up = folder / "weights"
        made_up.mkdir()
        self._weights = {
            config: choose_weights.prepare_folder(config, kind, made_up)
            for config, kind in kinds.items()
        }

    def start_up(self, config: ModelConfig) -> StartUp:
        """Start-up and memory, after one run that compiles and reads the files once."""
        with choose_weights.weights_from(self._weights[config]):
            measure_start_up(config.name, self._song, self.threads, self.precision)
            return measure_start_up(config.name, self._song, self.threads, self.precision)

    def separation(self, config: ModelConfig) -> Callable[[], object]:
        """A call that separates the song; the model is loaded here."""
        with choose_weights.weights_from(self._weights[config]):
            separator = Separator(config.name, jobs=self.threads, precision=self.precision)
        return lambda: separator.separate(self.audio, SAMPLE_RATE)

    def speed_row(self, config: ModelConfig, timing: Timing, start_up: StartUp) -> Row:
        """The row of one model's speed."""
        return Row.timed(
            "rtsep", _case(SPEED, config), self.threads, timing,
            peak_rss_mb=start_up.peak_rss_mb,
            first_output_s=start_up.first_output_s,
            audio_s=self.seconds,
            times_real_time=1000 * self.seconds / timing.min_ms,
            times_real_time_median=1000 * self.seconds / timing.median_ms,
            weights=self.kinds[config],
        )  # fmt: skip

    def agreement_rows(self, config: ModelConfig) -> list[Row]:
        """A row for each stem and mask extension; nothing is timed."""
        with choose_weights.weights_from(self._weights[config]):
            arrays = choose_weights.load(config, self.kinds[config])
            found = agreement_db(config, arrays, self.audio, self.threads, self.precision)
        return [
            Row(
                "rtsep", f"{_case(AGREEMENT, config)}-{extension}-{stem}", self.threads,
                max_abs_difference=difference,
                more={"snr_db": snr_db, "mask_extension": extension, "stem": stem},
            )
            for (extension, stem), (snr_db, difference) in found.items()
        ]  # fmt: skip


def _case(what: str, config: ModelConfig) -> str:
    """offline-2stems, agreement-2stems, ..."""
    return f"{what}-{config.name.removeprefix('spleeter:')}"


def tables(report: Report) -> Iterator[Table]:
    """Speed, then agreement."""
    speed = figures_table(
        f"separation, {report.settings['threads']} thread(s)",
        ["model"],
        ["min s", "median s", "x real time", "median", "first output s", "peak RSS MB", "weights"],
    )
    agreement = figures_table(
        "agreement with the official pipeline", ["case"], ["SNR dB", "largest difference"]
    )
    for row in report.rows:
        if row.min_ms is None or row.median_ms is None:
            agreement.add_row(
                row.case, f"{row.more['snr_db']:.1f}", f"{row.max_abs_difference:.1e}"
            )
            continue
        rss = "" if row.peak_rss_mb is None else f"{row.peak_rss_mb:.0f}"
        speed.add_row(
            row.case, f"{row.min_ms / 1000:.3f}", f"{row.median_ms / 1000:.3f}",
            f"{row.more['times_real_time']:.1f}", f"{row.more['times_real_time_median']:.1f}",
            f"{row.more['first_output_s']:.2f}", rss, row.more["weights"],
        )  # fmt: skip
    yield speed
    yield agreement


def plot(report: Report, figure: Figure) -> None:
    """Times real time, and dB of agreement."""
    figure.set_size_inches(10, 5)
    left, right = figure.subplots(1, 2)
    timed = [row for row in report.rows if row.min_ms is not None]
    compared = [row for row in report.rows if row.min_ms is None]
    cases = [row.case for row in timed]
    best = [row.more["times_real_time"] for row in timed]
    usual = [row.more["times_real_time_median"] for row in timed]
    grouped_bars(left, cases, {"rtsep": best}, "times real time (dash: median)", {"rtsep": usual})
    extensions = dict.fromkeys(row.more["mask_extension"] for row in compared)
    stems = list(dict.fromkeys(row.more["stem"] for row in compared))
    decibels = {
        (row.more["mask_extension"], row.more["stem"]): row.more["snr_db"] for row in compared
    }
    series = {extension: [decibels[extension, stem] for stem in stems] for extension in extensions}
    grouped_bars(right, stems, series, "SNR to the official pipeline, dB")
    caption(report, figure, f"separation on {report.settings['threads']} thread(s)")

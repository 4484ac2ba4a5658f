"""`rtsep-bench speech`: speech over music, before and after `--voices-only` and `--dialogue`.

Each speech is laid over a piece of music without voices, at given levels above it, and runs through
the live engine (unpaced, no mask is late) once per plan. What comes out is compared with the speech
alone, and so is what went in: the gain is the difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsep.cli.precision_argument import add_precision
from rtsep.cli.uses import VOICES, VOICES_ONLY, Use, dialogue
from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError
from rtsep.files.song_files import SOUND_SUFFIXES
from rtsep.live import INDEPENDENT, RATIO
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_unpaced
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.live.session import SessionSettings
from rtsep.nets.kind import Net
from rtsep.nets.kinds import net_names
from rtsep.nets.precision import find_precision
from rtsep.weights.load_nets import load_nets
from rtsep_bench import options, song_files, spoken, true_stems
from rtsep_bench.evaluation import si_sdr_db
from rtsep_bench.plots import caption
from rtsep_bench.report import Report, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

# As long as the song of the demo.
DEFAULT_SECONDS = 6.0
# All nets and the ratio mask, or the net of the voices alone: how --ratio and --no-ratio run them.
MASKS = {"ratio": RATIO, "alone": INDEPENDENT}


@dataclass(frozen=True)
class Pair:
    """Speech over music. speech, mixture: (samples, 2) float32, 44.1 kHz."""

    name: str
    snr_db: float
    speech: NDArray[np.float32]
    mixture: NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    parser.add_argument(
        "music", nargs="+", metavar="MUSIC",
        help=f"music without voices: a sound file; or a song, or folder of songs, whose vocals are left"
        f" out (as for rtsep-bench quality); or {song_files.DEMO}, the demo's song",
    )  # fmt: skip
    parser.add_argument(
        "--speech", default=[], action="append", metavar="PLACE",
        help=f"a sound file or a folder of them; or {spoken.ESPEAK}, which has espeak-ng read"
        f" {len(spoken.READERS)} short texts (the default); repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=options.seconds, default=DEFAULT_SECONDS, metavar="S",
        help="length of each pair (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--snrs", default="0,5", metavar="DB,...",
        help="how much louder the speech is than the music (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--plans", default=",".join(PLANS), metavar="PLAN,...", help="default: %(default)s"
    )
    parser.add_argument(
        "--masks", default="ratio", metavar="KIND,...",
        help="ratio: of all nets; alone: of the voices' own net (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--dialogue", default="6,12", metavar="DB,...",
        help="values of --dialogue to measure beside --voices-only (default: %(default)s)",
    )  # fmt: skip
    add_precision(parser, "f32")


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    plans = [read_plan(name) for name in arguments.plans.split(",")]
    masks = options.choices("--masks", arguments.masks, tuple(MASKS))
    uses = {"voices-only": VOICES_ONLY}
    for decibels in options.numbers("--dialogue", arguments.dialogue, "6,12"):
        uses[f"dialogue {decibels:g}"] = dialogue(decibels)
    pairs = _pairs(arguments)
    settings = SessionSettings(arguments.model, stems=(VOICES,), paced=False)
    precision = find_precision(arguments.precision, paced=False, config=settings.config).precision
    loaded = load_nets(settings.config, precision=precision)
    nets = dict(zip(net_names(settings.config), loaded, strict=True))
    rows = []
    for pair, plan, kind in product(pairs, plans, masks):
        say(f"{pair.name}, {pair.snr_db:+g} dB: {plan.name}, {kind}")
        stems = separated(pair.mixture, settings, MASKS[kind], nets, plan)
        for name, use in uses.items():
            before_db = si_sdr_db(pair.mixture, pair.speech)
            after_db = si_sdr_db(mix_of(stems, use), pair.speech)
            more = {
                "use": name, "snr_db": pair.snr_db, "ratio": kind == "ratio",
                "latency_ms": plan.latency_ms, "input_si_sdr_db": before_db, "si_sdr_db": after_db,
                "gain_db": after_db - before_db,
            }  # fmt: skip
            rows.append(Row(plan.name, pair.name, len(settings.net_stems(MASKS[kind])), more=more))
    return Report(
        "speech",
        {"pairs": len(rows) and len({row.case for row in rows}), "seconds": arguments.seconds,
         "model": settings.config.name, "precision": precision},
        rows,
        ["SI-SDR of the speech, in dB (Le Roux et al. 2019; benchmarks/rtsep_bench/evaluation.py); gain:"
         " what comes out against what went in."],
    )  # fmt: skip


def tables(report: Report) -> list[Table]:
    """One row per plan, masks, use and level: mean, worst and best gain."""
    from rich.table import Table

    table = Table(title=f"speech over music, {report.settings['pairs']} pairs")
    for heading in (
        "plan",
        "masks",
        "ms",
        "use",
        "speech dB",
        "in",
        "out",
        "gain",
        "worst",
        "best",
    ):
        left = heading in ("plan", "masks", "use")
        table.add_column(heading, justify="left" if left else "right")
    for (plan, ratio, use, snr_db), rows in _by_setting(report).items():
        gains = [row.more["gain_db"] for row in rows]
        table.add_row(
            plan, "ratio" if ratio else "alone", f"{rows[0].more['latency_ms']:.0f}", use,
            f"{snr_db:+g}", *(
                f"{np.mean([row.more[field] for row in rows]):.2f}"
                for field in ("input_si_sdr_db", "si_sdr_db")
            ),
            f"{np.mean(gains):+.2f}", f"{min(gains):+.2f}", f"{max(gains):+.2f}",
        )  # fmt: skip
    return [table]


def plot(report: Report, figure: Figure) -> None:
    """Mean gain against latency, a line for each use, level and kind of masks."""
    axes = figure.add_subplot()
    points: dict[str, list[tuple[float, float]]] = {}
    for (_, ratio, use, snr_db), rows in _by_setting(report).items():
        gain_db = float(np.mean([row.more["gain_db"] for row in rows]))
        line = f"{use}, {snr_db:+g} dB, {'ratio' if ratio else 'alone'}"
        points.setdefault(line, []).append((rows[0].more["latency_ms"], gain_db))
    for label, line_points in points.items():
        axes.plot(*zip(*sorted(line_points), strict=True), "o-", label=label)
    axes.set_xscale("log")
    axes.set_xlabel("latency, ms")
    axes.set_ylabel("SI-SDR of the speech, gain in dB")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=7)
    caption(report, figure, "Speech over music")


def _by_setting(report: Report) -> dict[tuple[str, bool, str, float], list[Row]]:
    groups: dict[tuple[str, bool, str, float], list[Row]] = {}
    for row in report.rows:
        key = row.contender, row.more["ratio"], row.more["use"], row.more["snr_db"]
        groups.setdefault(key, []).append(row)
    return groups


# --- what is measured -------------------------------------------------------------------------------


def _pairs(arguments: argparse.Namespace) -> list[Pair]:
    """Every speech over some music, and every music under some speech."""
    samples = round(arguments.seconds * SAMPLE_RATE)
    speeches = [
        speech
        for place in arguments.speech or [spoken.ESPEAK]
        for speech in spoken.speeches(place, arguments.seconds)
    ]
    music = [piece for place in arguments.music for piece in _music(place, samples)]
    return [
        over(speeches[number % len(speeches)], music[number % len(music)], snr_db)
        for number in range(max(len(speeches), len(music)))
        for snr_db in options.numbers("--snrs", arguments.snrs, "0,5")
    ]


def over(speech: spoken.Speech, music: spoken.Speech, snr_db: float) -> Pair:
    """`speech`, with `snr_db` more energy, over `music` of the same length; peak at -1 dBFS."""
    for sound in (speech, music):
        if not np.any(sound.sound):
            raise RtsepError(f"{sound.name} is silent: name other sounds, or longer --seconds")
    energies = [float(np.sum(sound.sound.astype(np.float64) ** 2)) for sound in (speech, music)]
    voice = speech.sound * np.float32(np.sqrt(energies[1] / energies[0]) * 10 ** (snr_db / 20))
    mixture = voice + music.sound
    scale = np.float32(10 ** (-1 / 20) / np.abs(mixture).max())
    return Pair(f"{speech.name} over {music.name}", snr_db, scale * voice, scale * mixture)


def _music(place: str, samples: int) -> Iterator[spoken.Speech]:
    """Music without voices, from its middle; repeated where it is shorter than `samples`."""
    path = Path(place)
    if path.is_file() and path.suffix.lower() in SOUND_SUFFIXES:
        found = [(path.stem, true_stems.read_sound(path))]
    else:
        songs = true_stems.songs([place], song_files.ACCOMPANIMENT)
        found = [(song.name, song.true) for song in songs]
    for name, sound in found:
        start = max(0, (len(sound) - samples) // 2)
        yield spoken.Speech(name, np.resize(sound[start : start + samples], (samples, 2)))


def separated(
    mixture: NDArray[np.float32],
    settings: SessionSettings,
    masking: str,
    nets: Mapping[str, Net],
    plan: StreamPlan,
) -> dict[str, NDArray[np.float32]]:
    """The outputs of the live engine by name, each (samples, 2) and in time with `mixture`."""
    engine = Engine(
        settings.config,
        [nets[name] for name in net_names(settings.config, settings.net_stems(masking))],
        plan,
        settings.mix_gains(masking),
        independent=settings.independent_stems(masking),
        separate_stems=True,
    )
    engine.start()
    try:
        silence = np.zeros((plan.latency_samples, 2), np.float32)
        out = next(run_unpaced(engine, [np.concatenate([mixture, silence])]))
    finally:
        engine.stop()
    stems = np.split(out[plan.latency_samples :, 2:], len(engine.stems), axis=1)
    return dict(zip(engine.stems, stems))


def mix_of(stems: Mapping[str, NDArray[np.float32]], use: Use) -> NDArray[np.float32]:
    """What is heard of `stems`: the mix with the gains of `use`."""
    heard = [stems[stem] for stem in use.stems]
    rest = [sound for stem, sound in stems.items() if stem not in use.stems]
    return np.sum(heard, axis=0) + np.float32(use.rest_gain) * np.sum(rest, axis=0)

"""`rtsep-bench quality`: how well a stem is separated, on songs with true stems.

Each song's mixture runs through the live engine (unpaced, no mask is late) once per plan; the stem that
comes out is compared with the true one. What remains of the mixture has the same error, so that its
SDR moves by the same amount. Beside the plans stand a ceiling, floors (bounds.py) and the stems of
other programs (rivals.py). quality_tables.py says how it is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

from rtsep.constants import SAMPLE_RATE
from rtsep.environment import usable_cores
from rtsep.errors import AudioFileError, RtsepError, UsageError
from rtsep.files.writer import StemWriter
from rtsep.live.plans.ladder import LADDER
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.registry import ModelConfig, find_model
from rtsep.weights import library as weights
from rtsep_bench import bss_eval, options, quality_tables, song_files, song_split, true_stems
from rtsep_bench.bounds import BOUNDS
from rtsep_bench.kept_results import KeptResults
from rtsep_bench.quality_case import MASKS, Case, Setting
from rtsep_bench.quality_run import run
from rtsep_bench.report import Report
from rtsep_bench.song_files import Found, SongFiles
from rtsep_kernels.user_cache import user_cache

ALL_OF_THE_LADDER, NONE = "ladder", "none"
# A song at a speed beyond these is none any more.
SLOWEST, FASTEST = 0.5, 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this subcommand."""
    options.add_model(parser)
    parser.add_argument(
        "songs", nargs="*", metavar="SONGS",
        help=f"a folder of songs, each a Stem file or a folder of stems (vocals.flac, drums.flac,"
        f" ...); such a file or folder; or {song_files.DEMO}, the demo's song",
    )  # fmt: skip
    parser.add_argument(
        "--musdb", type=Path, metavar="DIR", help="measure the songs of MUSDB18 or MUSDB18-HQ, too"
    )
    parser.add_argument(
        "--subset", choices=list(song_files.SUBSETS), default="test",
        help="of MUSDB18 (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--split", choices=(song_split.TUNED, song_split.REPORTED),
        help="only the songs that plans are tuned on, or those they are reported on"
        " (song_split.json)",
    )  # fmt: skip
    parser.add_argument("--stem", default="vocals", help="default: %(default)s")
    parser.add_argument(
        "--plans", default=",".join(PLANS), metavar="PLAN,...",
        help="names, or frames/stride/look-ahead/compute-delay/hann|asymmetric[/extrapolated]; "
        f"{ALL_OF_THE_LADDER} for all that --latency chooses from; {NONE} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--bounds", default=",".join(BOUNDS), metavar="NAME,...",
        help=f"ceiling and floors to show beside them, or {NONE} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--against", action="append", default=[], metavar="[NAME=]DIR",
        help="score the stems of the same songs that another program wrote to DIR, as DIR/SONG/STEM.wav"
        " or DIR/SONG_(STEM).wav; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--masks", default=MASKS[0], metavar="KIND,...",
        help="ratio: of all nets; alone: of the stem's own net, no other runs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--levels", default="0", metavar="DB,...",
        help="turn the mixtures down by so much, with and without the network level"
        " (default: %(default)s, as they are, with it)",
    )  # fmt: skip
    parser.add_argument(
        "--speeds", default="1", metavar="FACTOR,...",
        help="play the songs so much faster, pitch and all: as many versions of each"
        " (default: %(default)s, as they are)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=options.seconds, metavar="S",
        help="only so much from the middle of each song (default: all of it)",
    )  # fmt: skip
    parser.add_argument(
        "--museval", action="store_true",
        help="BSS Eval v4 by museval, too, as published figures have it: slow (extra quality)",
    )  # fmt: skip
    parser.add_argument(
        "--results", type=Path, metavar="DIR",
        help="keep what is measured in DIR, a file for each song, and take from there what a run before"
        " has measured (default: with --musdb a folder in the user's cache, else nothing is kept)",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=options.count, metavar="N",
        help="songs at the same time, each in a process (default: one per core)",
    )  # fmt: skip
    parser.add_argument(
        "--mixtures", type=Path, metavar="DIR",
        help="write the mixtures to DIR/SONG.wav, for other programs, and measure nothing",
    )  # fmt: skip


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = find_model(arguments.model)
    if arguments.stem not in config.stems:
        raise UsageError(
            f"{config.name} has no stem {arguments.stem!r}: choose from {', '.join(config.stems)}"
        )
    speeds, rivals = _speeds(arguments.speeds), _rivals(arguments.against)
    if rivals and speeds != [1.0]:
        raise UsageError("--against needs songs at their own speed: leave --speeds out")
    settings = _settings(arguments, config, rivals)
    folder = _results_folder(arguments)
    if arguments.museval:
        bss_eval.load_museval()
    found = _songs(arguments)
    unusable = {name: [reason] for name, reason in found.unusable.items()}
    for name, reason in found.unusable.items():
        say(f"{name}: {reason}")
    if arguments.mixtures is not None:
        return _write_mixtures(arguments, found.songs, unusable, say)
    if not all(setting.ratio is None for setting in settings):
        _have_weights(config)
    cases = [
        Case(
            files, speed, arguments.stem, config.name, arguments.seconds, arguments.museval, rivals,
            settings,
        )
        for files in found.songs
        for speed in speeds
    ]  # fmt: skip
    jobs = arguments.jobs or usable_cores()
    outcome = run(cases, jobs, KeptResults(folder), say)
    for name, reasons in outcome.unusable.items():
        unusable.setdefault(name, []).extend(reasons)
    if not outcome.rows:
        raise RtsepError("no song could be measured")
    if folder is not None:
        say(f"results are kept in {folder}")
    return Report(
        "quality",
        {
            "songs": {row.case: row.more["samples"] for row in outcome.rows},
            "stem": arguments.stem,
            "model": config.name,
            "seconds": arguments.seconds,
            "unusable": unusable,
        },
        outcome.rows,
        [*_notes(arguments, found), *quality_tables.notes(outcome.rows, arguments.stem)],
        _failures(unusable),
    )


tables = quality_tables.tables
plot = quality_tables.plot


# --- what is measured -------------------------------------------------------------------------------


def _settings(
    arguments: argparse.Namespace, config: ModelConfig, rivals: Mapping[str, str]
) -> tuple[Setting, ...]:
    """All settings of a song, in the order of the table."""
    plans = _plans(arguments.plans)
    masks = options.choices("--masks", arguments.masks, MASKS)
    for kind in masks:
        config.outputs(None if kind == MASKS[0] else [arguments.stem])
    levels_db = options.numbers("--levels", arguments.levels, "0,-12,-20")
    bounds = []
    if arguments.bounds != NONE:
        bounds = options.choices("--bounds", arguments.bounds, (*BOUNDS, NONE))
    for name in rivals:
        if name in (*BOUNDS, *(plan.name for plan in plans)):
            raise UsageError(
                f"--against: {name!r} is a row already: call it by another name, NAME=DIR"
            )
    # As they are only with the network level, unless other levels are asked for.
    auto_levels = (True,) if levels_db == [0.0] else (True, False)
    settings = [
        Setting(plan.name, plan.latency_ms, kind == MASKS[0], level_db, auto_level)
        for plan, kind, level_db, auto_level in product(plans, masks, levels_db, auto_levels)
    ]
    settings += [Setting(name) for name in (*rivals, *bounds)]
    if not settings:
        raise UsageError("nothing is to be measured: name --plans, --bounds or --against")
    return tuple(settings)


def _plans(text: str) -> list[StreamPlan]:
    if text == NONE:
        return []
    if text == ALL_OF_THE_LADDER:
        return [rung.plan for rung in LADDER]
    return [read_plan(name) for name in text.split(",")]


def _speeds(text: str) -> list[float]:
    speeds = options.numbers("--speeds", text, "0.95,1,1.05")
    for speed in speeds:
        if not SLOWEST <= speed <= FASTEST:
            raise UsageError(f"--speeds must be from {SLOWEST:g} to {FASTEST:g}: got {speed:g}")
    return speeds


def _rivals(words: Sequence[str]) -> dict[str, str]:
    """Folders by the name of the program that wrote them."""
    rivals: dict[str, str] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or Path(word).is_dir():
            name, folder = Path(word).resolve().name, word
        if not Path(folder).is_dir():
            raise UsageError(f"--against {folder}: there is no such folder")
        if name in rivals:
            raise UsageError(f"--against: two folders are called {name}: name them, NAME=DIR")
        rivals[name] = folder
    return rivals


def _songs(arguments: argparse.Namespace) -> Found:
    if not arguments.songs and arguments.musdb is None:
        raise UsageError(f"name songs, {song_files.DEMO}, or --musdb DIR")
    found = song_files.find(arguments.songs)
    if arguments.musdb is not None:
        song_files.add(found, song_files.find_musdb(arguments.musdb, arguments.subset))
    if arguments.split is None:
        return found
    chosen = song_split.only(found.songs, arguments.split)
    if not chosen:
        wanted = ", ".join(sorted(song_split.titles(arguments.split)))
        raise UsageError(f"--split {arguments.split}: none of the songs is one of {wanted}")
    return Found(chosen, found.unusable)


def _have_weights(config: ModelConfig) -> None:
    """Fetch the weights before several processes want them."""
    if not weights.is_installed(config.weights_name):
        weights.fetch(config.weights_name)


def _results_folder(arguments: argparse.Namespace) -> Path | None:
    folder: Path | None = arguments.results
    cache = user_cache()
    if folder is None and arguments.musdb is not None and cache is not None:
        return cache / "quality"
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError(f"--results {folder} is a file: name a folder")
    return folder


def _write_mixtures(
    arguments: argparse.Namespace,
    songs: Sequence[SongFiles],
    unusable: dict[str, list[str]],
    say: Callable[[str], None],
) -> Report:
    for files in songs:
        try:
            mixture = true_stems.load(files, arguments.stem).mixture
        except AudioFileError as error:
            unusable.setdefault(files.name, []).append(str(error))
            say(f"{files.name}: {error}")
            continue
        path = arguments.mixtures / f"{files.name}.wav"
        with StemWriter(path, SAMPLE_RATE, 2, "wav", "float") as writer:
            writer.write(mixture)
            writer.commit()
        say(f"{path} is written")
    return Report("quality", {"unusable": unusable}, [], [], _failures(unusable))


# --- what is said of it -----------------------------------------------------------------------------


def _notes(arguments: argparse.Namespace, found: Found) -> list[str]:
    notes = []
    if arguments.musdb is not None:
        whole = song_files.SUBSETS[arguments.subset]
        inside = song_files.find_musdb(arguments.musdb, arguments.subset).songs
        if len(inside) != whole:
            notes.append(
                f"{arguments.musdb} holds {len(inside)} of the {whole} songs of the subset"
                f" {arguments.subset}: published figures rest on all."
            )
    if arguments.seconds is not None:
        notes.append(f"Of each song the {arguments.seconds:g} s in the middle.")
    return notes


def _failures(unusable: Mapping[str, Sequence[str]]) -> list[str]:
    if not unusable:
        return []
    what = "1 song was" if len(unusable) == 1 else f"{len(unusable)} songs were"
    return [f"{what} not measured, or not in full: {', '.join(unusable)}"]

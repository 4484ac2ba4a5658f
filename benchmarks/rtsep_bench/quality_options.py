"""The options of `rtsep-bench quality`, and the settings that they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

from rtsep.cli.precision_argument import add_precision
from rtsep.errors import UsageError
from rtsep.live.plans.ladder import ladder_of
from rtsep.live.plans.notation import read_plan
from rtsep.live.plans.plan import PLANS, StreamPlan
from rtsep.nets.kinds import check_window
from rtsep.nets.registry import ModelConfig
from rtsep_bench import options, song_files, song_split
from rtsep_bench.bounds import BOUNDS
from rtsep_bench.quality_case import MASKS, Setting

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
    add_precision(parser, "f32")


def settings(
    arguments: argparse.Namespace, config: ModelConfig, against: Mapping[str, str]
) -> tuple[Setting, ...]:
    """All settings of a song, in the order of the table; raises UsageError for impossible ones.

    against: from `rivals`.
    """
    plans = _plans(arguments.plans, config)
    masks = options.choices("--masks", arguments.masks, MASKS)
    for kind in masks:
        config.outputs(None if kind == MASKS[0] else [arguments.stem])
    levels_db = options.numbers("--levels", arguments.levels, "0,-12,-20")
    bounds = []
    if arguments.bounds != NONE:
        bounds = options.choices("--bounds", arguments.bounds, (*BOUNDS, NONE))
    for name in against:
        if name in (*BOUNDS, *(plan.name for plan in plans)):
            raise UsageError(
                f"--against: {name!r} is a row already: call it by another name, NAME=DIR"
            )
    # As they are only with the network level, unless other levels are asked for.
    auto_levels = (True,) if levels_db == [0.0] else (True, False)
    found = [
        Setting(plan.name, plan.latency_ms, kind == MASKS[0], level_db, auto_level)
        for plan, kind, level_db, auto_level in product(plans, masks, levels_db, auto_levels)
    ]
    found += [Setting(name) for name in (*against, *bounds)]
    if not found:
        raise UsageError("nothing is to be measured: name --plans, --bounds or --against")
    return tuple(found)


def _plans(text: str, config: ModelConfig) -> list[StreamPlan]:
    if text == NONE:
        return []
    if text == ALL_OF_THE_LADDER:
        return [rung.plan for rung in ladder_of(config)]
    plans = [read_plan(name) for name in text.split(",")]
    for plan in plans:
        check_window(config, plan.frames)
    return plans


def speeds(text: str) -> list[float]:
    """The speeds that --speeds lists. Raises UsageError."""
    found = options.numbers("--speeds", text, "0.95,1,1.05")
    for speed in found:
        if not SLOWEST <= speed <= FASTEST:
            raise UsageError(f"--speeds must be from {SLOWEST:g} to {FASTEST:g}: got {speed:g}")
    return found


def rivals(words: Sequence[str]) -> dict[str, str]:
    """The folders of --against by the name of the program that wrote them. Raises UsageError."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not equals or Path(word).is_dir():
            name, folder = Path(word).resolve().name, word
        if not Path(folder).is_dir():
            raise UsageError(f"--against {folder}: there is no such folder")
        if name in found:
            raise UsageError(f"--against: two folders are called {name}: name them, NAME=DIR")
        found[name] = folder
    return found

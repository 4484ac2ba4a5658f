"""`rtsep-bench quality`: how well a stem is separated, on songs with true stems.

Each song's mixture runs through the live engine (unpaced, no mask is late) once per plan; the stem that
comes out is compared with the true one. What remains of the mixture has the same error, so that its
SDR moves by the same amount. Beside the plans stand a ceiling, floors (bounds.py) and the stems of
other programs (rivals.py). quality_tables.py says how it is shown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rtsep.constants import SAMPLE_RATE
from rtsep.environment import usable_cores
from rtsep.errors import AudioFileError, RtsepError, UsageError
from rtsep.files.song_files import SongFiles
from rtsep.files.writer import StemWriter
from rtsep.nets.precision import find_precision
from rtsep.nets.registry import ModelConfig
from rtsep.weights import library as weights
from rtsep_bench import (
    bss_eval,
    quality_options,
    quality_tables,
    song_files,
    song_split,
    true_stems,
)
from rtsep_bench.kept_results import KeptResults
from rtsep_bench.quality_case import Case
from rtsep_bench.quality_run import run
from rtsep_bench.report import Report
from rtsep_bench.song_files import Found
from rtsep_kernels.user_cache import user_cache

# What rtsep/cli/bench.py asks a subcommand for, beside `measure`.
add_arguments = quality_options.add_arguments
tables = quality_tables.tables
plot = quality_tables.plot


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> Report:
    """Run the subcommand; `say` is told what is going on."""
    config = weights.model_named(arguments.model)
    if arguments.stem not in config.stems:
        raise UsageError(
            f"{config.name} has no stem {arguments.stem!r}: choose from {', '.join(config.stems)}"
        )
    speeds = quality_options.speeds(arguments.speeds)
    rivals = quality_options.rivals(arguments.against)
    if rivals and speeds != [1.0]:
        raise UsageError("--against needs songs at their own speed: leave --speeds out")
    precision = find_precision(arguments.precision, paced=False, config=config).precision
    settings = quality_options.settings(arguments, config, rivals)
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
            files, speed, arguments.stem, config.name, precision, arguments.seconds,
            arguments.museval, rivals, settings,
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
            "precision": precision,
            "seconds": arguments.seconds,
            "unusable": unusable,
        },
        outcome.rows,
        [*_notes(arguments, found), *quality_tables.notes(outcome.rows, arguments.stem)],
        _failures(unusable),
    )


# --- songs ------------------------------------------------------------------------------------------


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

"""`rtsep-separate` on many files: from the arguments to a run, and what a person is told of it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rtsep.batch.executor import Executor
from rtsep.batch.inputs import Found, Input, find_inputs, read_list, shard
from rtsep.batch.journal import Journal
from rtsep.batch.plan import Planned, make_plan
from rtsep.batch.run import Run
from rtsep.batch.settings import BatchSettings
from rtsep.batch.storage import has_scheme
from rtsep.batch.worker_pool import WorkerPool, default_workers
from rtsep.batch.worker_process import Limits
from rtsep.cli.batch_arguments import DEFAULT_RETRIES, DEFAULT_TIME_FACTOR
from rtsep.cli.batch_report import JsonLines, Lines
from rtsep.cli.batch_status import merge, print_status
from rtsep.cli.collisions import check_collisions, check_folder
from rtsep.cli.separate_arguments import chosen_stems
from rtsep.cli.separate_report import complain
from rtsep.cli.standard_streams import STANDARD
from rtsep.cli.targets import check_pattern, outputs_of, targets_of
from rtsep.environment import usable_cores
from rtsep.errors import RtsepError, UsageError
from rtsep.files.formats import find_format
from rtsep.weights import library
from rtsep.weights.library import model_named


def separate_many(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; return the exit status."""
    if arguments.status:
        return print_status(arguments.status, arguments.json_lines)
    if arguments.merge:
        return merge(arguments.merge, arguments.journal)
    stems = chosen_stems(arguments)
    _check(arguments)
    found = _find(arguments)
    planned = _planned(found, arguments, stems)
    with Journal(arguments.journal) as journal:
        _fetch_weights(arguments)
        settings = _settings(arguments, stems)
        plan = make_plan(planned, journal, settings.digest())
        lines = JsonLines if arguments.json_lines else Lines
        watcher = lines(settings, arguments.quiet)
        run = Run(
            plan,
            journal,
            watcher,
            retries=DEFAULT_RETRIES if arguments.retries is None else arguments.retries,
            duplicates=arguments.duplicates or "copy",
            skip_existing=arguments.skip_existing,
        )
        if plan.left:
            with contextlib.closing(
                _executor(arguments, settings, journal, len(plan.left))
            ) as executor:
                try:
                    run.go(executor)
                finally:
                    watcher.end(run.totals)
        else:
            watcher.end(run.totals)
    return 1 if run.totals.failed or found.failures else 0


def _check(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options that do not go with many files."""
    if STANDARD in arguments.inputs:
        raise UsageError(
            f"{STANDARD} is one stream of sound: separate it without folders and options for many files;"
            " a list of names is read with --from-file"
        )
    if arguments.stdout is not None or arguments.pcm is not None:
        raise UsageError("--stdout and --pcm are about one input: leave them out with many files")
    if arguments.fetch and arguments.scheduler is None:
        raise UsageError("--fetch is about a cluster: add --scheduler ADDRESS, or leave it out")
    if arguments.fetch and arguments.skip_existing:
        raise UsageError(
            "with --fetch workers do not see the stems: use --journal, not --skip-existing"
        )
    find_format(arguments.format).bit_depth(arguments.bit_depth)
    check_pattern(arguments.filename)


def _find(arguments: argparse.Namespace) -> Found:
    """The inputs that the names stand for; says which names stand for none.

    Raises UsageError where there is no input at all.
    """
    output = str(arguments.output)
    listed = [name for place in arguments.from_file or () for name in _names_in(place)]
    found = find_inputs(
        arguments.inputs, listed, arguments.exclude or (), None if has_scheme(output) else output
    )
    for failure in found.failures:
        complain(f"error: {failure}")
    if found.left_out and not arguments.quiet:
        complain(f"note: {found.left_out:,} files in folders are no sound by their name: left out")
    if not found.inputs and not found.failures:
        where = ", ".join([*arguments.inputs, *(arguments.from_file or ())])
        raise UsageError(f"everything in {where} is excluded: leave out a pattern")
    if arguments.shard is not None:
        found.inputs = shard(found.inputs, *arguments.shard)
    return found


def _planned(found: Found, arguments: argparse.Namespace, stems: Sequence[str]) -> list[Planned]:
    """Every input and its files; raises UsageError where two would have the same."""
    inputs, output = found.inputs, str(arguments.output)
    planned = []
    for entry in inputs:
        try:
            planned.append(Planned(entry, _targets(entry, arguments, stems, output)))
        except UsageError as error:  # of this input alone: the pattern has been checked
            found.failures.append(str(error))
            complain(f"error: {error}")
    if not has_scheme(output):
        check_collisions(
            [Path(one.entry.name) for one in planned if not has_scheme(one.entry.name)],
            [
                target
                for one in planned
                for target in outputs_of(
                    Path(one.entry.name), {stem: Path(t) for stem, t in one.targets.items()}
                )
            ],
        )
        check_folder(arguments.output)
    return planned


def _names_in(place: str) -> list[str]:
    if place == STANDARD:
        return read_list(sys.stdin.buffer.read(), "standard input")
    try:
        return read_list(Path(place).read_bytes(), place)
    except OSError as error:
        raise RtsepError(f"cannot read the list {place}: {error.strerror}") from error


def _targets(
    entry: Input, arguments: argparse.Namespace, stems: Sequence[str], output: str
) -> dict[str, str]:
    """The file of each stem, below the output's folder as the input is below its own."""
    if not entry.name:
        raise UsageError("an input's name is empty: name a file")
    within = Path(entry.tree)
    targets = targets_of(
        Path(entry.name),
        within,
        arguments.filename,
        stems,
        find_format(arguments.format).name,
        arguments.model,
    )
    if has_scheme(output):
        return {stem: f"{output}/{target.as_posix()}" for stem, target in targets.items()}
    return {stem: os.path.join(output, target) for stem, target in targets.items()}


def _fetch_weights(arguments: argparse.Namespace) -> None:
    """Have the weights, before workers want them: with progress, and once."""
    if library.is_installed(model_named(arguments.model).weights_name):
        return
    if arguments.quiet:
        library.fetch(arguments.model)
        return
    from rtsep.cli.terminal.progress import download_progress

    with download_progress() as progress:
        library.fetch(arguments.model, progress=progress)


def _settings(arguments: argparse.Namespace, stems: tuple[str, ...]) -> BatchSettings:
    return BatchSettings(
        model=arguments.model,
        stems=stems,
        mask_extension=arguments.mask_extension,
        auto_level=arguments.auto_level,
        precision=arguments.precision,
        format=find_format(arguments.format).name,
        bit_depth=arguments.bit_depth,
        start_s=arguments.start,
        duration_s=arguments.duration,
        track=arguments.track,
        strict=arguments.strict,
    ).resolved()


def _executor(
    arguments: argparse.Namespace, settings: BatchSettings, journal: Journal, left: int
) -> Executor:
    def note(text: str) -> None:
        complain(f"note: {text}")

    if arguments.scheduler is not None:
        from rtsep.batch.dask_cluster import DaskCluster

        there = replace(settings, jobs=arguments.jobs or 1)
        return DaskCluster(arguments.scheduler, there, journal.identity, arguments.fetch, note)
    workers = min(arguments.workers or default_workers(), left)
    limit = arguments.memory_limit
    return WorkerPool(
        replace(settings, jobs=arguments.jobs or max(1, usable_cores() // workers)),
        workers,
        journal.identity,
        Limits(
            arguments.time_limit or DEFAULT_TIME_FACTOR,
            None if limit is None else limit * 1_000_000,
        ),
        journal.lock,
        note,
    )

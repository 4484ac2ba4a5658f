"""`rtsep-separate`: split audio files into stems.

Arguments are checked first, then whether the inputs are there; the network and its weights are loaded
with the first one that has sound. A file that fails does not keep the others from being done: failures
are listed at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rtsep.cli.batch_arguments import asks_for_batch, check_inputs
from rtsep.cli.common import run
from rtsep.cli.separate_arguments import PROGRAM, build_parser, chosen_stems
from rtsep.cli.separate_jobs import Batch, batch_of, check_stdout_alone, raw_asked_for
from rtsep.cli.separate_report import complain, print_report, printable, warn
from rtsep.cli.standard_streams import OUTPUT, standard_output
from rtsep.cli.surroundings import prepare
from rtsep.cli.terminal.progress import show_progress
from rtsep.errors import RtsepError
from rtsep.files.pipe_writer import PipeTarget
from rtsep.offline.job import SeparationJob

if TYPE_CHECKING:
    from rtsep.files.reader import AudioReader
    from rtsep.offline.separator import Separator
    from rtsep.weights.download import ByteProgress


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (those of the command line); return its exit status."""
    prepare(PROGRAM)
    parser = build_parser()
    arguments = parser.parse_args(argv)
    check_inputs(parser, arguments)
    return run(PROGRAM, lambda: separate(arguments))


def separate(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; return the exit status."""
    if asks_for_batch(arguments):
        from rtsep.cli.separate_batch import separate_many  # here: SQLite, processes

        return separate_many(arguments)
    stems = chosen_stems(arguments)
    with contextlib.ExitStack() as stack:
        pipe = None
        if arguments.stdout is not None:
            check_stdout_alone(arguments)
            raw = raw_asked_for(arguments)
            pipe = PipeTarget(
                stack.enter_context(standard_output()), OUTPUT, raw, arguments.bit_depth or "16"
            )
        batch = batch_of(arguments, stems, pipe)
        return _separate_all(
            batch, lambda: _load_separator(arguments, stems), arguments.inputs, arguments.quiet
        )


def _separate_all(
    batch: Batch, load: Callable[[], Separator], names: Sequence[str], quiet: bool
) -> int:
    """Separate one input after the other; tell what failed in the order of their names."""
    separator = None
    try:
        for name, job in batch.jobs:
            try:
                reader = job.open()
            except RtsepError as error:
                batch.failures[name] = str(error)
                continue
            with reader:
                separator = separator or load()
                try:
                    _separate_one(separator, job, reader, quiet)
                except RtsepError as error:
                    batch.failures[name] = str(error)
    finally:
        failed = [batch.failures[name] for name in dict.fromkeys(names) if name in batch.failures]
        for failure in failed:
            complain(f"error: {failure}")
    return 1 if failed else 0


def _load_separator(arguments: argparse.Namespace, stems: tuple[str, ...]) -> Separator:
    """Load the model; its weights are fetched first if they are not there."""
    from rtsep.cli.terminal.progress import download_progress
    from rtsep.offline.separator import Separator  # here: compiled kernels take their time to load

    def load(progress: ByteProgress | None) -> Separator:
        return Separator(
            arguments.model,
            stems=stems,
            mask_extension=arguments.mask_extension,
            jobs=arguments.jobs,
            auto_level=arguments.auto_level,
            precision=arguments.precision,
            progress=progress,
        )

    if arguments.quiet:
        return load(None)
    with download_progress() as progress:
        return load(progress)


def _separate_one(
    separator: Separator, job: SeparationJob, reader: AudioReader, quiet: bool
) -> None:
    """Separate one input and report on it."""
    from rtsep.offline.separate_file import separate_job

    with show_progress(printable(job.title), quiet) as progress:
        report = separate_job(separator, job, reader, progress)
    warn(report, job.format)
    if not quiet:
        print_report(report, separator.precision)


if __name__ == "__main__":
    sys.exit(main())

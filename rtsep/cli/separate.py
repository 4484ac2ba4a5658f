"""`rtsep-separate`: split audio files into stems.

Arguments are checked first, then the inputs; only then are the network and its weights loaded. A
file that fails does not keep the others from being done: failures are listed at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.cli.collisions import check_collisions, check_folder, check_given_once
from rtsep.cli.common import run
from rtsep.cli.separate_arguments import PROGRAM, build_parser, chosen_stems
from rtsep.cli.surroundings import prepare
from rtsep.cli.targets import check_pattern, outputs_of, targets_of
from rtsep.cli.terminal.progress import clock, show_progress
from rtsep.errors import AudioFileError, RtsepError, UsageError
from rtsep.files.formats import OutputFormat, find_format

if TYPE_CHECKING:
    from rtsep.offline.separate_file import SeparationReport
    from rtsep.offline.separator import Separator
    from rtsep.weights.download import Progress


@dataclass(frozen=True)
class Job:
    """One input, as it was named, and the files its stems go to."""

    name: str
    source: Path
    targets: dict[str, Path]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (those of the command line); return its exit status."""
    prepare(PROGRAM)
    arguments = build_parser().parse_args(argv)
    return run(PROGRAM, lambda: separate(arguments))


def separate(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; return the exit status."""
    stems = chosen_stems(arguments)
    output_format = find_format(arguments.format)
    output_format.bit_depth(arguments.bit_depth)
    check_pattern(arguments.filename)
    failures: dict[str, str] = {}  # by the input's name
    failed = False
    jobs = []
    for name in arguments.inputs:
        try:
            jobs.append(_job(name, arguments, stems, output_format))
        except RtsepError as error:  # of this input alone: the pattern has been checked
            failures[name] = str(error)
    check_given_once([job.source for job in jobs])
    outputs = [output for job in jobs for output in outputs_of(job.source, job.targets)]
    check_collisions([job.source for job in jobs], outputs)
    check_folder(arguments.output)

    try:
        readable = [job for job in jobs if _is_readable(job, arguments, failures)]
        if readable:
            separator = _load_separator(arguments, stems)
            for job in readable:
                _separate_one(separator, job, output_format, arguments, failures)
    finally:
        for name in arguments.inputs:
            if name in failures:
                _complain(f"error: {failures.pop(name)}")
                failed = True
    return 1 if failed else 0


def _job(
    name: str, arguments: argparse.Namespace, stems: tuple[str, ...], output_format: OutputFormat
) -> Job:
    """Raises RtsepError where no file of that name can be separated into files of its own."""
    if not name:
        raise UsageError("an input's name is empty: name a file")
    source = Path(name)
    if source.is_dir():
        raise AudioFileError(f"{name} is a folder: name the files in it")
    targets = targets_of(
        source, arguments.output, arguments.filename, stems, output_format.name, arguments.model
    )
    return Job(name, source, targets)


def _is_readable(job: Job, arguments: argparse.Namespace, failures: dict[str, str]) -> bool:
    """Open an input once, before anything slow is loaded; note in `failures` why it cannot be."""
    from rtsep.files.reader import AudioReader

    try:
        AudioReader(
            job.source, arguments.start, arguments.duration, arguments.track, arguments.strict
        ).close()
    except AudioFileError as error:
        failures[job.name] = str(error)
        return False
    return True


def _load_separator(arguments: argparse.Namespace, stems: tuple[str, ...]) -> Separator:
    """Load the model; its weights are fetched first if they are not there."""
    from rtsep.cli.terminal.progress import download_progress
    from rtsep.offline.separator import Separator  # here: compiled kernels take their time to load

    def load(progress: Progress | None) -> Separator:
        return Separator(
            arguments.model,
            stems=stems,
            mask_extension=arguments.mask_extension,
            jobs=arguments.jobs,
            auto_level=arguments.auto_level,
            progress=progress,
        )

    if arguments.quiet:
        return load(None)
    with download_progress() as progress:
        return load(progress)


def _separate_one(
    separator: Separator,
    job: Job,
    output_format: OutputFormat,
    arguments: argparse.Namespace,
    failures: dict[str, str],
) -> None:
    """Separate one input and report on it; note in `failures` why it failed, if it does."""
    from rtsep.offline.separate_file import separate_file

    try:
        with show_progress(_printable(job.source.name), arguments.quiet) as progress:
            report = separate_file(
                separator,
                job.source,
                job.targets,
                format=output_format.name,
                bit_depth=arguments.bit_depth,
                start_s=arguments.start,
                duration_s=arguments.duration,
                track=arguments.track,
                strict=arguments.strict,
                on_progress=progress,
            )
    except RtsepError as error:
        failures[job.name] = str(error)
        return
    _warn(report, output_format)
    if not arguments.quiet:
        _print_report(report)


def _warn(report: SeparationReport, output_format: OutputFormat) -> None:
    """Say on stderr what was not kept as it was."""
    name = report.source
    for remark in report.remarks:
        _complain(f"{'warning' if remark.damage else 'note'}: {name} {remark}")
    if report.source_channels > report.channels:
        _complain(f"note: {name} has {report.source_channels} channels: mixed down to stereo")
    if report.stored_rate != report.sample_rate:
        _complain(
            f"note: {output_format.name} cannot hold {report.sample_rate} Hz: the stems of {name}"
            f" are at {report.stored_rate} Hz"
        )
    if report.clipping:
        loudest = max(report.clipping.values(), key=lambda clipping: clipping.peak)
        stems = ", ".join(report.clipping)
        remedy = (
            "use --bit-depth float"
            if "float" in output_format.encodings
            else "use --format wav --bit-depth float"
        )
        _complain(
            f"warning: {stems} of {name}: peaks at {loudest.peak_dbfs:+.1f} dBFS were clipped:"
            f" {remedy}"
        )


def _print_report(report: SeparationReport) -> None:
    width = max(len(stem) for stem in report.targets)
    lines = [
        f"{report.source}: {clock(report.duration_s)} of sound in {report.elapsed_s:.1f} s,"
        f" {report.times_real_time:.1f} times faster than real time"
    ]
    lines += [f"  {stem:{width}}  {target}" for stem, target in report.targets.items()]
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        line = _printable(line).encode(encoding, "backslashreplace").decode(encoding)
        print(line, flush=True)


def _complain(message: str) -> None:
    print(f"{PROGRAM}: {_printable(message)}", file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    """Escape what would break a line or an encoding: names of files may hold anything."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


if __name__ == "__main__":
    sys.exit(main())

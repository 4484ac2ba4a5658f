"""From the arguments of `rtsep-separate` to one record for each input."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtsep.cli.collisions import check_collisions, check_folder, check_given_once
from rtsep.cli.separate_arguments import DEFAULT_OUTPUT
from rtsep.cli.standard_streams import STANDARD, raw_format, standard_input
from rtsep.cli.targets import DEFAULT_PATTERN, check_pattern, outputs_of, targets_of
from rtsep.errors import AudioFileError, RtsepError, UsageError
from rtsep.files.byte_source import ByteStream, check_file
from rtsep.files.formats import DEFAULT_FORMAT, OutputFormat, find_format
from rtsep.files.pipe_writer import PipeTarget
from rtsep.files.raw_pcm import RawFormat
from rtsep.offline.job import SeparationJob

# What {track} stands for where the input has no name.
STDIN_NAME = "stdin"


@dataclass
class Batch:
    """What is to be done: the jobs, each with the input's name, and why other inputs are left out."""

    jobs: list[tuple[str, SeparationJob]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def raw_asked_for(arguments: argparse.Namespace) -> RawFormat | None:
    """The raw PCM of the standard streams; raises UsageError where the options do not go together."""
    if arguments.pcm is None and (arguments.samplerate or arguments.channels):
        raise UsageError("--samplerate and --channels describe raw PCM: say which with --pcm")
    in_use = STANDARD in arguments.inputs or arguments.stdout is not None
    return raw_format(arguments.pcm, arguments.samplerate, arguments.channels, in_use=in_use)


def check_stdout_alone(arguments: argparse.Namespace) -> None:
    """Raise UsageError where `--stdout` is given with more inputs, or with options of files."""
    if len(arguments.inputs) > 1:
        raise UsageError(
            f"--stdout takes one input, whose stem it writes: got {len(arguments.inputs)}"
        )
    asked = (arguments.output, arguments.filename, arguments.format)
    if asked != (Path(DEFAULT_OUTPUT), DEFAULT_PATTERN, DEFAULT_FORMAT):
        raise UsageError(
            "--output, --filename and --format are about files: leave them out with --stdout"
        )


def batch_of(arguments: argparse.Namespace, stems: Sequence[str], pipe: PipeTarget | None) -> Batch:
    """The jobs that the arguments ask for, and which inputs cannot be separated for all one can see.

    pipe: where the only stem goes, in place of a file. Nothing is decoded yet: the names of all inputs
    are looked at before anything slow begins, each is opened once, when its turn comes.

    Raises UsageError where the whole is impossible.
    """
    output_format = find_format(arguments.format)
    raw = raw_asked_for(arguments)
    if pipe is None:
        output_format.bit_depth(arguments.bit_depth)
        check_pattern(arguments.filename)
    if arguments.inputs.count(STANDARD) > 1:
        raise UsageError(f"{STANDARD} is given twice: name every input once")
    batch = Batch()
    for name in arguments.inputs:
        try:
            batch.jobs.append((name, _job(name, arguments, stems, output_format, raw, pipe)))
        except AudioFileError as error:
            batch.failures[name] = str(error)
        except UsageError as error:  # of this input alone: the pattern has been checked
            if name == STANDARD:
                raise
            batch.failures[name] = str(error)
    files = [job.source for _, job in batch.jobs if isinstance(job.source, Path)]
    check_given_once(files)
    if pipe is None:
        outputs = [
            output for _, job in batch.jobs for output in outputs_of(_named(job), _files_of(job))
        ]
        check_collisions(files, outputs)
        check_folder(arguments.output)
    _leave_out_missing(batch)
    return batch


def _job(
    name: str,
    arguments: argparse.Namespace,
    stems: Sequence[str],
    output_format: OutputFormat,
    raw: RawFormat | None,
    pipe: PipeTarget | None,
) -> SeparationJob:
    """Raises RtsepError where no file of that name can be separated into files of its own."""
    if not name:
        raise UsageError("an input's name is empty: name a file")
    is_stream = name == STANDARD
    path = Path(STDIN_NAME if is_stream else name)
    if not is_stream and path.is_dir():
        raise AudioFileError(f"{name} is a folder: name the files in it")
    targets: dict[str, Path | PipeTarget] = dict.fromkeys(stems, pipe) if pipe else {}
    if pipe is None:
        targets.update(
            targets_of(
                path,
                arguments.output,
                arguments.filename,
                stems,
                output_format.name,
                arguments.model,
            )
        )
    return SeparationJob(
        source=standard_input() if is_stream else path,
        targets=targets,
        format=output_format,
        bit_depth=arguments.bit_depth,
        start_s=arguments.start,
        duration_s=arguments.duration,
        track=arguments.track,
        strict=arguments.strict,
        raw=raw if is_stream else None,
    )


def _files_of(job: SeparationJob) -> dict[str, Path]:
    return {stem: target for stem, target in job.targets.items() if isinstance(target, Path)}


def _named(job: SeparationJob) -> Path:
    return Path(STDIN_NAME) if isinstance(job.source, ByteStream) else job.source


def _leave_out_missing(batch: Batch) -> None:
    """Note which inputs are not there, or hold nothing, without opening any."""
    present = []
    for name, job in batch.jobs:
        try:
            if isinstance(job.source, Path):
                check_file(job.source)
        except RtsepError as error:
            batch.failures[name] = str(error)
        else:
            present.append((name, job))
    batch.jobs = present

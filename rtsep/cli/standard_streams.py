"""Sound on standard input and output, which the programs call `-`."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rtsep.cli.surroundings import GuardedOutput
from rtsep.constants import SAMPLE_RATE
from rtsep.errors import AudioFileError, UsageError
from rtsep.files.byte_source import ByteStream
from rtsep.files.raw_pcm import ENCODINGS, RawFormat

STANDARD = "-"
STDIN, STDOUT, STDERR = range(3)
INPUT, OUTPUT = "standard input", "standard output"


def add_pcm_argument(parser: argparse._ActionsContainer) -> None:
    """Add `--pcm`."""
    parser.add_argument(
        "--pcm", choices=tuple(ENCODINGS),
        help=f"the sound on {STANDARD} is raw PCM, interleaved, at --samplerate (default: {SAMPLE_RATE})"
        " with --channels (default: 2); without it WAV, and on standard input any format that can be"
        " read as it comes",
    )  # fmt: skip


def path_or_standard(text: str) -> Path | str:
    """The path of a file, or STANDARD; for argparse. A file of that name is `./-`."""
    return text if text == STANDARD else Path(text)


def raw_format(
    pcm: str | None, sample_rate: int | None, channels: int | None, *, in_use: bool
) -> RawFormat | None:
    """What raw PCM the options describe; None where they describe none.

    in_use: whether a standard stream holds sound at all. Raises UsageError where none does.
    """
    if pcm is None:
        return None
    if not in_use:
        raise UsageError(
            f"--pcm is about standard input and output: name one of them, as {STANDARD}"
        )
    return RawFormat(pcm, sample_rate or SAMPLE_RATE, channels or 2)


def standard_input() -> ByteStream:
    """Standard input as a stream of sound; raises UsageError for a terminal."""
    if os.isatty(STDIN):
        raise UsageError(f"{INPUT} is a terminal: send sound through a pipe, as in `cat F | ...`")
    _wait_for(STDIN)
    try:
        return ByteStream(io.FileIO(STDIN, "rb", closefd=False), INPUT)
    except OSError as error:
        raise AudioFileError(f"cannot read {INPUT}: {error.strerror}") from error


@contextlib.contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Standard output, for sound alone: what anyone else prints there meanwhile goes to stderr.

    Raises UsageError for a terminal. What is written raises BrokenPipeError where the reader has gone,
    RtsepError where it cannot be written.
    """
    if os.isatty(STDOUT):
        raise UsageError(f"{OUTPUT} is a terminal: send the sound to a program or a file")
    sys.stdout.flush()
    _wait_for(STDOUT)
    descriptor = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield _Sound(descriptor, OUTPUT)
    finally:
        sys.stdout.flush()
        os.dup2(descriptor, STDOUT)
        os.close(descriptor)


class _Sound(GuardedOutput):
    """Writes all that it is given, and holds nothing back that would wait to be written at the end."""

    def write(self, content: Any, /) -> int:
        left = memoryview(content).cast("B")
        while left:
            left = left[super().write(left) :]
        return len(content)


def _wait_for(descriptor: int) -> None:
    # Another program may have left its end of the stream so that it does not wait.
    if os.name == "posix":
        os.set_blocking(descriptor, True)

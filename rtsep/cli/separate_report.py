"""What `rtsep-separate` says of a recording that it has separated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rtsep.cli.separate_arguments import PROGRAM
from rtsep.cli.terminal.progress import clock
from rtsep.files.formats import OutputFormat

if TYPE_CHECKING:
    from rtsep.offline.separate_file import SeparationReport


def warn(report: SeparationReport, output_format: OutputFormat) -> None:
    """Say on stderr what was not kept as it was."""
    name = report.label
    for remark in report.remarks:
        complain(f"{'warning' if remark.damage else 'note'}: {name} {remark}")
    if report.source_channels > report.channels:
        complain(f"note: {name} has {report.source_channels} channels: mixed down to stereo")
    if report.stored_rate != report.sample_rate:
        complain(
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
        complain(
            f"warning: {stems} of {name}: peaks at {loudest.peak_dbfs:+.1f} dBFS were clipped:"
            f" {remedy}"
        )


def print_report(report: SeparationReport, precision: str) -> None:
    """Print where the stems are and how fast it was."""
    width = max(len(stem) for stem in report.targets)
    lines = [
        f"{report.label}: {clock(report.duration_s)} of sound in {report.elapsed_s:.1f} s,"
        f" {report.times_real_time:.1f} times faster than real time, nets in {precision}"
    ]
    lines += [f"  {stem:{width}}  {target}" for stem, target in report.targets.items()]
    say(*lines)


def say(*lines: str) -> None:
    """Print lines on stdout."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        line = printable(line).encode(encoding, "backslashreplace").decode(encoding)
        print(line, flush=True)


def complain(message: str) -> None:
    """Print a line on stderr, with the program's name."""
    print(f"{PROGRAM}: {printable(message)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Escape what would break a line or an encoding: names of files may hold anything."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )

"""The command line of `rtsep-separate`: its options, and which stems they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path

from rtsep.cli.batch_arguments import add_batch_arguments, folder_or_storage
from rtsep.cli.common import OneLineParser
from rtsep.cli.numbers import count, positive_seconds, seconds_from
from rtsep.cli.precision_argument import add_precision
from rtsep.cli.reading_arguments import add_reading_arguments
from rtsep.cli.standard_streams import add_pcm_argument
from rtsep.cli.targets import DEFAULT_PATTERN, FIELDS
from rtsep.cli.uses import VOICES
from rtsep.dsp import MASK_EXTENSIONS
from rtsep.errors import UsageError
from rtsep.files.formats import BIT_DEPTHS, DEFAULT_FORMAT, FORMATS
from rtsep.nets.registry import MODELS, WITHOUT
from rtsep.weights.library import model_named

PROGRAM = "rtsep-separate"
DEFAULT_MODEL = "spleeter:2stems"
DEFAULT_OUTPUT = "separated"


def build_parser() -> OneLineParser:
    """Return the parser of the command line."""
    fields = "; ".join(f"{{{field}}} {meaning}" for field, meaning in FIELDS.items())
    parser = OneLineParser(
        prog=PROGRAM,
        description="Split audio files, or the sound of videos, into stems.",
        epilog=f"Fields of --filename: {fields}. Exit status: 0 all done, 1 something failed,"
        " 2 impossible arguments, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).",
    )
    # As text: Path("") would be the working folder.
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="audio or video file; - is standard input; a folder, with all below it; wildcards; s3://...",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=folder_or_storage, default=Path(DEFAULT_OUTPUT),
        help="folder for the stems (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "-m", "--model", default=DEFAULT_MODEL,
        help=f"one of {', '.join(MODELS)}, or one of your own (rtsep-weights import)"
        " (default: %(default)s)",
    )  # fmt: skip
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--stems", metavar="STEM,...", help="write only these; no_STEM is all but that one"
    )
    which.add_argument("--two-stems", metavar="STEM", help="write STEM and no_STEM, the rest")
    which.add_argument(
        "--karaoke", dest="stems", action="store_const", const=WITHOUT + VOICES,
        help=f"write {WITHOUT + VOICES} only: the song without its singer",
    )  # fmt: skip
    which.add_argument(
        "--voices-only", dest="stems", action="store_const", const=VOICES,
        help=f"write {VOICES} only: singing and speech without the music",
    )  # fmt: skip
    which.add_argument(
        "--stdout", metavar="STEM",
        help="write this stem, and nothing else, to standard output, as WAV (--bit-depth 16 or float) or"
        " raw PCM (--pcm)",
    )  # fmt: skip
    add_pcm_argument(parser)
    parser.add_argument("--samplerate", metavar="HZ", type=count, help="of raw PCM")
    parser.add_argument("--channels", metavar="N", type=count, help="of raw PCM, 1 or 2")
    parser.add_argument(
        "--mask-extension", choices=MASK_EXTENSIONS, default="zeros",
        help="above the model's frequencies: silence (zeros), the mean of the mask below (average), or"
        " the lesser of that mean and the mean of the mask's top bins (top); with average and top the"
        " stems add up to the input (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--auto-level", action="store_true",
        help="give the networks a steady level: better on quiet recordings (Spleeter does not do it)",
    )  # fmt: skip
    parser.add_argument(
        "-f", "--filename", metavar="PATTERN", default=DEFAULT_PATTERN,
        help="names of the stems' files inside DIR (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--format", metavar="FORMAT", default=DEFAULT_FORMAT,
        help=f"one of {', '.join(FORMATS)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--bit-depth", choices=BIT_DEPTHS,
        help="bit depth of lossless formats (default: 16); float cannot clip",
    )  # fmt: skip
    parser.add_argument(
        "--start",
        metavar="S",
        type=seconds_from(0),
        default=0.0,
        help="begin S seconds into the input",
    )
    parser.add_argument(
        "--duration", metavar="S", type=positive_seconds, help="take S seconds (default: all)"
    )
    add_reading_arguments(parser)
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=count, help="threads (default: one per processor core)"
    )
    add_precision(parser, "f32")
    add_batch_arguments(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but warnings and errors"
    )
    return parser


def chosen_stems(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return the stems to write, in the order asked for; raises UsageError for unknown ones."""
    model = model_named(arguments.model)
    stem = arguments.two_stems
    if stem is not None:
        if stem not in model.stems:
            raise UsageError(
                f"--two-stems: {model.name} has no stem {stem!r}: choose from "
                f"{', '.join(model.stems)}"
            )
        return stem, WITHOUT + stem
    if arguments.stdout is not None:
        model.members(arguments.stdout)
        return (arguments.stdout,)
    if arguments.stems is None:
        return model.stems
    names = [name.strip() for name in arguments.stems.split(",")]
    for name in names:
        model.members(name)
    return tuple(dict.fromkeys(names))

"""The options of `rtsep-separate` for many files, and whether a command line asks for them."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from rtsep.batch.inputs import has_wildcards
from rtsep.batch.storage import has_scheme
from rtsep.cli.common import OneLineParser
from rtsep.cli.numbers import count, whole_from

DUPLICATES = ("copy", "link", "separate")
DEFAULT_RETRIES = 1
FLAGS = ("skip_existing", "json_lines", "fetch")
VALUES = (
    "from_file", "exclude", "duplicates", "journal", "retries", "workers", "time_limit", "memory_limit",
    "shard", "scheduler", "status", "merge",
)  # fmt: skip
DEFAULT_TIME_FACTOR = 4


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them; those that were not given are None or False, so that one can tell."""
    group = parser.add_argument_group(
        "many files",
        "With any of these, a folder, wildcards or a storage, worker processes separate the inputs, in"
        " an order of their own (docs/many-files.md).",
    )
    group.add_argument(
        "--from-file", metavar="LIST", action="append",
        help="inputs, one name a line, or parted by zero bytes (find -print0); - is standard input",
    )  # fmt: skip
    group.add_argument(
        "--exclude", metavar="PATTERN", action="append",
        help="leave out what is called so, by name or by path within its folder: '*demo*', 'live/*'",
    )  # fmt: skip
    group.add_argument(
        "--duplicates", choices=DUPLICATES,
        help="inputs with the same content: separate one and copy its stems (the default), or make them"
        " hard links, or separate each",
    )  # fmt: skip
    group.add_argument(
        "--journal", metavar="FILE", type=Path,
        help="write down what becomes of every input; with the same file again, only do what is left",
    )  # fmt: skip
    group.add_argument(
        "--retries", metavar="N", type=whole_from(0),
        help=f"try an input that failed N times more (default: {DEFAULT_RETRIES})",
    )  # fmt: skip
    group.add_argument(
        "--skip-existing", action="store_true",
        help="leave inputs whose stems are there and as long as they are",
    )  # fmt: skip
    group.add_argument(
        "--workers", metavar="N", type=count,
        help="processes (default: one per core, fewer where memory is short)",
    )  # fmt: skip
    group.add_argument(
        "--time-limit", metavar="X", type=count,
        help="end a worker that takes longer than a minute and X seconds for each second of sound"
        f" (default: {DEFAULT_TIME_FACTOR})",
    )  # fmt: skip
    group.add_argument(
        "--memory-limit", metavar="MB", type=count,
        help="end a worker that takes more memory of its own (default: no limit)",
    )  # fmt: skip
    group.add_argument(
        "--shard", metavar="I/N", type=_shard, help="do part I of N of the inputs, I from 1 to N"
    )
    group.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="have a Dask cluster do it (extra `cluster`): tcp://host:8786",
    )  # fmt: skip
    group.add_argument(
        "--fetch", action="store_true",
        help="with --scheduler: workers cannot write to DIR, their stems come through the network",
    )  # fmt: skip
    group.add_argument(
        "--json-lines", action="store_true", help="print what becomes of each input as JSON, a line each"
    )  # fmt: skip
    group.add_argument(
        "--status", metavar="JOURNAL", nargs="+", type=Path,
        help="print what is done, left and failed by these journals, and nothing else",
    )  # fmt: skip
    group.add_argument(
        "--merge", metavar="JOURNAL", nargs="+", type=Path,
        help="put these journals' rows into --journal FILE, and do nothing else",
    )  # fmt: skip


def check_inputs(parser: OneLineParser, arguments: argparse.Namespace) -> None:
    """End the program where there is no input and nothing that does without."""
    if arguments.status or arguments.merge:
        if arguments.inputs or arguments.from_file:
            parser.error("--status and --merge take journals only: leave the inputs out")
        if arguments.merge and not arguments.journal:
            parser.error("--merge needs a journal to put the rows into: add --journal FILE")
    elif not arguments.inputs and not arguments.from_file:
        parser.error("the following arguments are required: INPUT")


def asks_for_batch(arguments: argparse.Namespace) -> bool:
    """Whether the inputs are more than some files, or an option is about many."""
    if any(getattr(arguments, flag) for flag in FLAGS):
        return True
    # 0 retries are an option that was given.
    if any(getattr(arguments, option) is not None for option in VALUES):
        return True
    places = [*arguments.inputs, str(arguments.output)]
    return any(map(has_scheme, places)) or any(
        os.path.isdir(name) or has_wildcards(name) for name in arguments.inputs
    )


def folder_or_storage(text: str) -> Path | str:
    """A folder as a path; one of a storage, such as s3://bucket/stems, as it is. For argparse."""
    return text.rstrip("/") if has_scheme(text) else Path(text)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"must be I/N with I from 1 to N: got {text!r}")
    return int(match[1]), int(match[2])

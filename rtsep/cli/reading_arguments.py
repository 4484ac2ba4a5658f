"""Options of every program that reads a file of sound."""

from __future__ import annotations

import argparse

from rtsep.cli.numbers import count


def add_reading_arguments(parser: argparse._ActionsContainer) -> None:
    """Add `--track` and `--strict`."""
    parser.add_argument(
        "--track", metavar="N", type=count,
        help="audio track of a file with several, counted from 1 (default: the file's default one)",
    )  # fmt: skip
    parser.add_argument(
        "--strict", action="store_true",
        help="refuse a file that is damaged, cut short, or contains NaN or infinite samples (default:"
        " warn, put silence in their place, and continue)",
    )  # fmt: skip

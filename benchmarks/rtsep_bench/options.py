"""Options that several subcommands have, and what their values may be."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable

from rtsep.nets.registry import BINS_11KHZ, MODELS

# Frames and bins are halved once per level of the U-Net, six times.
GRID = 64
DEFAULT_FRAMES = 128
DEFAULT_MODEL = "spleeter:2stems"
WEIGHTS = ("genuine", "made-up")


def count(text: str) -> int:
    """A whole number of at least 1; for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1: got {text!r}")
    return int(text)


def grid(text: str) -> int:
    """A positive multiple of 64; for argparse."""
    if not text.isdecimal() or int(text) < GRID or int(text) % GRID:
        raise argparse.ArgumentTypeError(f"must be a positive multiple of {GRID}: got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A number of at least 1; for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 1):
        raise argparse.ArgumentTypeError(f"must be a number of seconds, 1 or more: got {text!r}")
    return number


def add_rounds(parser: argparse.ArgumentParser, default: int) -> None:
    """Add --rounds."""
    parser.add_argument(
        "--rounds", type=count, default=default, metavar="N",
        help="interleaved rounds (default: %(default)s)",
    )  # fmt: skip


def add_bins(parser: argparse.ArgumentParser) -> None:
    """Add --bins."""
    parser.add_argument(
        "--bins", type=grid, default=BINS_11KHZ, metavar="F",
        help="frequency bins of the image, a multiple of 64 (default: %(default)s)",
    )  # fmt: skip


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add --weights."""
    parser.add_argument(
        "--weights", choices=WEIGHTS,
        help="genuine ones (fetched if need be) or seeded made-up ones of the same shapes"
        " (default: genuine where installed)",
    )  # fmt: skip


def add_model(parser: argparse.ArgumentParser, models: Iterable[str] = MODELS) -> None:
    """Add --model, one of `models`."""
    parser.add_argument(
        "-m", "--model", choices=list(models), default=DEFAULT_MODEL, metavar="MODEL",
        help="whose nets (default: %(default)s)",
    )  # fmt: skip

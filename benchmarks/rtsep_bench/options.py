"""Options that several subcommands have, and what their values may be."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from rtsep.cli.numbers import count, multiple_of, seconds_from
from rtsep.errors import UsageError
from rtsep.nets.registry import BINS_11KHZ, MODELS

# Frames and bins are halved once per level of the U-Net, six times.
grid = multiple_of(64)
# Less would not be worth measuring.
seconds = seconds_from(1)
DEFAULT_FRAMES = 128
DEFAULT_MODEL = "spleeter:2stems"
WEIGHTS = ("genuine", "made-up")


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


def numbers(option: str, text: str, example: str) -> list[float]:
    """The numbers of a list with commas. Raises UsageError, which names `option` and an example."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} must be numbers like {example}: got {text!r}") from None


def choices(option: str, text: str, known: Sequence[str]) -> list[str]:
    """The words of a list with commas, each one of `known`. Raises UsageError, which names `option`."""
    words = text.split(",")
    for word in words:
        if word not in known:
            raise UsageError(f"{option} must be {' or '.join(known)}: got {word!r}")
    return words

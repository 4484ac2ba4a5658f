"""Options that several subcommands have, and what their values may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from rtsep.cli.numbers import count, multiple_of, seconds_from
from rtsep.errors import RtsepError, UsageError
from rtsep.nets.registry import BINS_11KHZ, MODELS, ModelConfig
from rtsep.weights.library import model_named

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


def add_model(
    parser: argparse.ArgumentParser, fits: Callable[[ModelConfig], bool] = lambda config: True
) -> None:
    """Add --model: one that `fits`, of rtsep's or of one's own that were imported."""

    def model_name(name: str) -> str:
        try:
            if fits(model_named(name)):
                return name
            known = ", ".join(model for model in MODELS if fits(MODELS[model]))
            reason = f"{name} is not measured here: choose from {known}, or an own model like them"
        except RtsepError as error:
            reason = str(error)
        raise argparse.ArgumentTypeError(reason)

    parser.add_argument(
        "-m", "--model", type=model_name, default=DEFAULT_MODEL, metavar="MODEL",
        help="whose nets, also one of your own (default: %(default)s)",
    )  # fmt: skip


def add_plan(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --plan, for rtsep-monitor."""
    parser.add_argument(
        "--plan", default=default, help="rtsep-monitor's --latency (default: %(default)s)"
    )


def add_busy(parser: argparse.ArgumentParser) -> None:
    """Add --busy, for busy_programs."""
    parser.add_argument(
        "--busy", type=count, default=0, metavar="N",
        help="N other busy programs beside it (default: none)",
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

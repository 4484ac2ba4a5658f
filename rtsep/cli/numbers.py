"""Numbers on the command line: what they may be, each for argparse's `type`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole_from(least: int) -> Callable[[str], int]:
    """A reader of whole numbers that are `least`, 0 or more, or larger."""

    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}: got {text!r}"
            )
        return int(text)

    return whole


def seconds_from(least: float, *, endless: bool = False) -> Callable[[str], float]:
    """A reader of seconds that are `least` or more; endless: `inf` is one of them."""

    def seconds(text: str) -> float:
        number = _float(text)
        if not number >= least or (number == math.inf and not endless):
            raise argparse.ArgumentTypeError(
                f"must be a number of seconds, {least:g} or more: got {text!r}"
            )
        return number

    return seconds


def positive_seconds(text: str) -> float:
    """Seconds, more than 0."""
    seconds = seconds_from(0)(text)
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"must be more than 0 seconds: got {text!r}")
    return seconds


def multiple_of(factor: int) -> Callable[[str], int]:
    """A reader of positive multiples of `factor`."""

    def multiple(text: str) -> int:
        if not text.isdecimal() or int(text) < factor or int(text) % factor:
            raise argparse.ArgumentTypeError(
                f"must be a positive multiple of {factor}: got {text!r}"
            )
        return int(text)

    return multiple


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


count = whole_from(1)

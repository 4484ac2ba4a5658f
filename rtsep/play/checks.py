"""Arguments of commands, which may come from anywhere."""

from __future__ import annotations

import math

from rtsep.errors import UsageError


def check_number(name: str, value: object) -> float:
    """`value` as a float; raises UsageError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise UsageError(f"{name} must be a finite number: got {value!r}")
    return float(value)


def whole(name: str, value: object) -> int:
    """`value` as an int; raises UsageError unless it is a whole number."""
    number = check_number(name, value)
    if number != int(number):
        raise UsageError(f"{name} must be a whole number: got {value!r}")
    return int(number)

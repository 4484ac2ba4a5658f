"""Numbers among arguments: what is taken, and that a refusal has the limit and the value."""

from argparse import ArgumentTypeError
from math import inf

import pytest

from rtsep.cli.numbers import count, multiple_of, positive_seconds, seconds_from, whole_from


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (whole_from(0), "0", 0),
        (count, "7", 7),
        (multiple_of(64), "128", 128),
        (seconds_from(1), "1", 1.0),
        (seconds_from(0), "0", 0.0),
        (seconds_from(0, endless=True), "inf", inf),
        (positive_seconds, "1e-3", 0.001),
    ],
)
def test_numbers_are_read(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "limit"),
    [
        (whole_from(0), "-1", "at least 0"),
        (count, "0", "at least 1"),
        (count, "1.5", "at least 1"),
        (multiple_of(64), "0", "multiple of 64"),
        (multiple_of(64), "100", "multiple of 64"),
        (seconds_from(1), "0.5", "1 or more"),
        (seconds_from(0), "inf", "0 or more"),
        (seconds_from(0, endless=True), "-inf", "0 or more"),
        (seconds_from(0, endless=True), "nan", "0 or more"),
        (seconds_from(0), "soon", "0 or more"),
        (positive_seconds, "0", "more than 0"),
        (positive_seconds, "-1", "0 or more"),
    ],
)
def test_refusals_have_the_limit_and_the_value(read, text, limit):
    with pytest.raises(ArgumentTypeError, match=limit) as refused:
        read(text)
    assert repr(text) in str(refused.value)

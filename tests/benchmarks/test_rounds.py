"""Interleaved rounds: who is called when, and what comes out of the times."""

from __future__ import annotations

import pytest

from rtsep_bench.rounds import WARM_UP_CALLS, Timing, interleave


def test_the_order_is_rotated_each_round() -> None:
    calls: list[str] = []
    actions = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    timings = interleave(actions, rounds=4, calls=2)
    warm_up, timed = calls[: 3 * WARM_UP_CALLS], calls[3 * WARM_UP_CALLS :]
    assert set(warm_up) == set("abc")
    assert "".join(timed) == "aabbcc" + "bbccaa" + "ccaabb" + "aabbcc"
    assert list(timings) == list("abc")
    for timing in timings.values():
        assert [len(taken) for taken in timing.rounds_ms] == [2, 2, 2, 2]
        assert 0 <= timing.min_ms <= timing.median_ms


def test_min_and_median_are_of_all_calls() -> None:
    timing = Timing(((5.0, 3.0), (9.0, 4.0), (8.0, 7.0)))
    assert timing.min_ms == 3.0
    assert timing.median_ms == 6.0


def test_the_ratio_pairs_rounds() -> None:
    """A round in which the machine was ten times slower does not move the ratio."""
    mine = Timing(((2.0, 3.0), (40.0, 20.0), (2.2, 5.0)))
    others = Timing(((1.0, 9.0), (10.0, 11.0), (1.0, 1.1)))
    assert mine.ratio_to(others) == pytest.approx(2.0)
    assert mine.ratio_to(mine) == 1.0
    with pytest.raises(ValueError):
        mine.ratio_to(Timing(((1.0,),)))

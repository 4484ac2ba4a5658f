"""Bootstrap intervals over songs."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep_bench.intervals import summarise


def test_versions_belong_to_their_song() -> None:
    figures = [("a", 1.0), ("a", 3.0), ("a", 2.0), ("b", 10.0)]
    summary = summarise(figures)
    assert summary is not None
    assert summary.by_song == {"a": 2.0, "b": 10.0}
    assert summary.centre == 6.0
    assert (summary.worst, summary.best) == ("a", "b")
    # As many versions more of a song are no more songs.
    again = summarise([*figures, *[("a", 2.0)] * 20])
    assert again is not None
    assert (again.centre, again.low, again.high) == (summary.centre, summary.low, summary.high)


def test_the_interval_is_that_of_the_mean() -> None:
    random = np.random.default_rng(0)
    values = random.normal(5.0, 2.0, 400)
    summary = summarise((str(song), value) for song, value in enumerate(values))
    assert summary is not None and summary.low is not None and summary.high is not None
    # 1.96 standard errors, for so many songs.
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert summary.low == pytest.approx(values.mean() - half, abs=0.03)
    assert summary.high == pytest.approx(values.mean() + half, abs=0.03)


def test_the_median_has_an_interval_of_its_own() -> None:
    figures = [(str(song), value) for song, value in enumerate([1.0, 2.0, 3.0, 4.0, 1000.0])]
    summary = summarise(figures, np.median)
    assert summary is not None and summary.low is not None
    assert summary.centre == 3.0
    assert summary.low == 1.0


def test_one_song_has_no_interval_and_none_no_summary() -> None:
    summary = summarise([("a", 1.0), ("b", None)])
    assert summary is not None
    assert (summary.centre, summary.low, summary.high) == (1.0, None, None)
    assert summarise([("b", None)]) is None

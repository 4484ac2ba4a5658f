"""Bad samples are found and replaced, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

from rtsep.dsp.bad_samples import LIMIT, mend


def noise(samples: int = 1000) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (samples, 2)).astype(np.float32)


def test_good_samples_stay_as_they_are():
    samples = noise()
    samples[10] = LIMIT
    before, kept = np.zeros(2, np.float32), samples.copy()
    assert mend(samples, before) == 0
    np.testing.assert_array_equal(samples, kept)
    np.testing.assert_array_equal(before, kept[-1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, -1e6])
@pytest.mark.parametrize("rows", [(500, 501), (0, 1), (999, 1000), (300, 700), (0, 1000)])
def test_bad_samples_become_a_line_between_their_neighbours(value, rows):
    first, after = rows
    samples = noise()
    samples[first:after, 1] = value
    kept = samples.copy()
    before = np.array([0.25, -0.5], np.float32)
    assert mend(samples, before) == after - first
    np.testing.assert_array_equal(samples[:, 0], kept[:, 0])
    np.testing.assert_array_equal(samples[:first, 1], kept[:first, 1])
    np.testing.assert_array_equal(samples[after:, 1], kept[after:, 1])
    left = kept[first - 1, 1] if first else -0.5
    right = kept[after, 1] if after < len(kept) else 0.0
    line = np.linspace(left, right, after - first + 2)[1:-1]
    np.testing.assert_allclose(samples[first:after, 1], line, atol=1e-6)
    np.testing.assert_array_equal(before, samples[-1])


def test_an_empty_block_changes_nothing():
    before = np.array([0.25, -0.5], np.float32)
    assert mend(np.zeros((0, 2), np.float32), before) == 0
    np.testing.assert_array_equal(before, np.array([0.25, -0.5], np.float32))

"""Resampling: the length, the instant, the waveform, and no dependence on the block lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.dsp.resample import StreamResampler
from rtsep.errors import UsageError

RATES = [(48_000, 44_100), (44_100, 48_000), (8_000, 44_100), (44_100, 192_000), (37_801, 44_100)]


def resample(sound: np.ndarray, rate_in: int, rate_out: int, blocks: list[int]) -> np.ndarray:
    resampler = StreamResampler(rate_in, rate_out, sound.shape[1])
    pieces, start, turn = [], 0, 0
    while start < len(sound):
        length = blocks[turn % len(blocks)]
        pieces.append(resampler.push(sound[start : start + length]))
        start, turn = start + length, turn + 1
    return np.concatenate([*pieces, resampler.flush()])


def noise(frames: int, channels: int = 2, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, channels)).astype(np.float32)


def decibels(error: np.ndarray, reference: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(error.astype(float) ** 2) / np.sum(reference**2.0)))


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
@pytest.mark.parametrize("blocks", [[1, 64, 65, 0, 8193], [4096], [333]])
def test_block_lengths_do_not_change_a_sample(rate_in, rate_out, blocks):
    sound = noise(20_001)
    whole = resample(sound, rate_in, rate_out, [len(sound)])
    assert np.array_equal(resample(sound, rate_in, rate_out, blocks), whole)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(0, 3000),
    rate_in=st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 37_801]),
    rate_out=st.sampled_from([8_000, 44_100, 48_000, 88_200, 12_345]),
)
def test_length_is_the_ratio_of_the_rates_rounded(frames, rate_in, rate_out):
    expected = StreamResampler(rate_in, rate_out, 1).expected_frames(frames)
    assert abs(expected - frames * rate_out / rate_in) <= 0.5
    assert resample(noise(frames, 1), rate_in, rate_out, [777]).shape == (expected, 1)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_a_sine_stays_the_same_sine_at_the_same_instant(rate_in, rate_out):
    frequency_hz = 0.3 * min(rate_in, rate_out)

    def sine(rate: int, frames: int) -> np.ndarray:
        return np.sin(2 * np.pi * frequency_hz * np.arange(frames) / rate)[:, np.newaxis]

    result = resample(sine(rate_in, rate_in).astype(np.float32), rate_in, rate_out, [1024])
    expected = sine(rate_out, rate_out)
    inner = slice(rate_out // 10, -rate_out // 10)  # the ends meet silence: not a sine there
    assert decibels((result - expected)[inner], expected[inner]) < -100


# soxr's pass band bends very gently towards its end: hence two limits.
@pytest.mark.parametrize(("band_hz", "limit_db"), [(15_000, -100), (20_000, -60)])
def test_there_and_back_again_keeps_what_lies_in_the_band(band_hz, limit_db):
    rate = 48_000
    spectrum = np.fft.rfft(noise(2 * rate)[:, 0])
    spectrum[np.fft.rfftfreq(2 * rate, 1 / rate) > band_hz] = 0
    sound = (np.fft.irfft(spectrum) * np.hanning(2 * rate))[:, np.newaxis].astype(np.float32)
    back = resample(resample(sound, rate, 44_100, [1000]), 44_100, rate, [1000])
    assert back.shape == sound.shape
    assert decibels(back - sound, sound) < limit_db


def test_equal_rates_hand_the_blocks_through():
    resampler = StreamResampler(44_100, 44_100, 2)
    block = noise(100)
    assert resampler.push(block) is block
    assert resampler.flush().shape == (0, 2)


def test_impossible_arguments_are_named():
    with pytest.raises(UsageError, match="rate_in must be a whole number of at least 1: got 0"):
        StreamResampler(0, 44_100, 2)
    with pytest.raises(UsageError, match=r"channels .* got 1\.5"):
        StreamResampler(44_100, 48_000, 1.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"shape \(samples, 2\): got \(10, 1\)"):
        StreamResampler(44_100, 48_000, 2).push(noise(10, 1))


def test_nothing_can_be_pushed_after_the_end():
    resampler = StreamResampler(44_100, 48_000, 2)
    resampler.flush()
    with pytest.raises(ValueError, match="flushed"):
        resampler.push(noise(10))

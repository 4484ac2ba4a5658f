"""The live path's resampler: its response, its delay, its counts, and no dependence on the blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.short_resampler import ShortResampler, delay_s

LONGEST = 4096
USUAL = [8_000, 11_025, 16_000, 22_050, 32_000, 48_000, 88_200, 96_000, 176_400, 192_000]
ODD = [4_000, 7_919, 44_056, 44_099, 44_101, 47_999, 50_000, 300_007, 384_000, 767_999, 768_000]


def resample(sound, rate_in, rate_out, sizes=(1000,)):
    """`sound`, (samples, channels), in blocks of `sizes`."""
    resampler = ShortResampler(rate_in, rate_out, sound.shape[1], LONGEST)
    out = np.zeros((len(sound) * rate_out // rate_in + 2, sound.shape[1]), np.float32)
    done = at = turn = 0
    while at < len(sound):
        block = sound[at : at + sizes[turn % len(sizes)]]
        done += resampler.process(block, out[done:])
        at, turn = at + len(block), turn + 1
    return out[:done]


def noise(samples, channels=2, seed=0):
    sound = np.random.default_rng(seed).uniform(-1, 1, (samples, channels))
    return sound.astype(np.float32)


def tones(rate, seconds, frequencies_hz):
    """(samples, frequencies) float32: a sine of amplitude 1 in each channel."""
    times = np.arange(round(rate * seconds)) / rate
    return np.sin(2 * np.pi * np.outer(times, frequencies_hz)).astype(np.float32)


def parts(heard, rate, frequency_hz):
    """Of a sine heard, (samples,): amplitude, delay in periods, and what is no sine, in dB."""
    settled = np.arange(len(heard) // 4, len(heard))
    angles = 2 * np.pi * frequency_hz * settled / rate
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    there, *_ = np.linalg.lstsq(waves, heard[settled].astype(float))
    rest = heard[settled] - waves @ there
    amplitude = np.hypot(*there)
    delay = np.arctan2(-there[1], there[0]) / (2 * np.pi)
    return amplitude, delay, 20 * np.log10(np.std(rest) * math.sqrt(2) / amplitude)


@pytest.mark.parametrize("rate", USUAL + ODD)
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_tones_pass_as_they_are_and_alone(rate, back):
    rate_in, rate_out = (SAMPLE_RATE, rate) if back else (rate, SAMPLE_RATE)
    lower = min(rate, SAMPLE_RATE)
    # Of 44.1 kHz: 600 Hz to 20 kHz.
    frequencies = lower * np.array([600, 2_000, 5_000, 10_000, 15_000, 18_000, 20_000]) / 44_100
    heard = resample(tones(rate_in, 4000 / lower, frequencies), rate_in, rate_out)
    for channel, frequency_hz in enumerate(frequencies):
        amplitude, delay, rest_db = parts(heard[:, channel], rate_out, frequency_hz)
        assert abs(20 * np.log10(amplitude)) < 0.055
        assert rest_db < -87  # images and aliases
        # In samples of the lower rate, as far as a sine can tell.
        late = (delay - delay_s(rate_in, rate_out) * frequency_hz + 0.5) % 1 - 0.5
        late *= lower / frequency_hz
        if channel < 4:
            assert -0.01 < late < [0.01, 0.02, 0.1, 0.3][channel]


@pytest.mark.parametrize("rate_in", [88_200, 96_000, 192_000, 300_007])
def test_nothing_folds_below_20_khz(rate_in):
    # A sweep of all that must not come through, from 24.1 kHz to the end.
    samples = rate_in // 4
    hertz = np.geomspace(24_100, rate_in / 2, samples)
    sweep = np.sin(2 * np.pi * np.cumsum(hertz) / rate_in).astype(np.float32)[:, np.newaxis]
    heard = resample(sweep * np.hanning(samples)[:, np.newaxis].astype(np.float32), rate_in, 44_100)
    assert 20 * np.log10(np.abs(heard).max()) < -85


@pytest.mark.parametrize("rate", USUAL + ODD)
def test_an_impulse_comes_after_the_delay_that_is_told(rate):
    for rate_in, rate_out in ((rate, SAMPLE_RATE), (SAMPLE_RATE, rate)):
        at = rate_in // 50
        sound = np.zeros((2 * at, 1), np.float32)
        sound[at] = 1.0
        heard = resample(sound, rate_in, rate_out)[:, 0].astype(float)
        centre = heard @ np.arange(len(heard)) / heard.sum()
        assert centre == pytest.approx(
            (at / rate_in + delay_s(rate_in, rate_out)) * rate_out, abs=0.02
        )


def test_there_and_back_at_48_khz_take_an_eighth_of_a_millisecond():
    assert delay_s(48_000, SAMPLE_RATE) + delay_s(SAMPLE_RATE, 48_000) < 0.125e-3


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(48_000, 44_100), (44_100, 48_000), (192_000, 44_100), (44_101, 44_100)],
)
def test_the_result_does_not_depend_on_the_blocks(rate_in, rate_out):
    sound = noise(9000, 12)
    whole = resample(sound, rate_in, rate_out, [LONGEST])
    assert len(whole) == -(-len(sound) * rate_out // rate_in)
    for sizes in ([1], [7, 0, 1000, 64], [941, 940]):
        np.testing.assert_array_equal(resample(sound, rate_in, rate_out, sizes), whole)


@pytest.mark.parametrize("rate", USUAL + ODD)
def test_there_and_back_gives_as_many_as_came(rate):
    rng = np.random.default_rng(rate)
    there = ShortResampler(rate, SAMPLE_RATE, 1, 256)
    back = ShortResampler(SAMPLE_RATE, rate, 1, 256 * SAMPLE_RATE // rate + 1)
    between = np.zeros((256 * SAMPLE_RATE // rate + 1, 1), np.float32)
    sound = noise(20_000, 1)
    out = np.full_like(sound, np.nan)
    at = 0
    while at < len(sound):
        block = sound[at : at + int(rng.choice([1, 2, 17, 256]))]
        count = there.process(block, between)
        assert back.process(between[:count], out[at : at + len(block)]) == len(block)
        at += len(block)
    assert np.isfinite(out).all()


def test_a_constant_stays_one_whatever_the_remainder():
    for rate in (48_000, 44_101):
        heard = resample(np.ones((3000, 1), np.float32), rate, SAMPLE_RATE)
        np.testing.assert_allclose(heard[200:], 1, atol=1e-6)


def test_tables_stay_small_at_every_rate():
    for rate in [*USUAL, *ODD]:
        for pair in ((rate, SAMPLE_RATE), (SAMPLE_RATE, rate)):
            assert ShortResampler(*pair, 1, 1)._rows.nbytes <= 2**20

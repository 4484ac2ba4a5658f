"""Variable speed: the sound is kept, the count is exact, the position is told."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

from rtsep.dsp.varispeed import Varispeed

if sys.platform == "linux":
    import resource

RATES = [(44_100, 44_100), (48_000, 44_100), (44_100, 48_000), (96_000, 48_000), (16_000, 44_100)]


def play(varispeed, sound, sizes, corrections=(0.0,)):
    """`sound`, (samples, channels), to its end in blocks of `sizes`; what is heard of it."""
    heard: list[np.ndarray] = []
    at = turn = 0
    while True:
        varispeed.set_correction(corrections[turn % len(corrections)])
        out = np.zeros((sizes[turn % len(sizes)], sound.shape[1]), np.float32)
        while lacking := varispeed.lacking(len(out)):
            if at + lacking > len(sound):
                return np.concatenate(heard)
            varispeed.push(sound[at : at + lacking])
            at += lacking
        assert varispeed.take(out) == len(out)
        heard.append(out)
        turn += 1


def sines(rate, seconds, frequencies_hz):
    angles = 2 * np.pi * np.outer(np.arange(round(seconds * rate)) / rate, frequencies_hz)
    return (0.5 * np.sin(angles)).astype(np.float32)


def noise_db(heard, cycles_per_sample):
    """All that is not the one sine, against it."""
    angles = 2 * np.pi * cycles_per_sample * np.arange(len(heard))
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    there, *_ = np.linalg.lstsq(waves, heard.astype(float))
    sine = waves @ there
    return 10 * np.log10(np.sum((heard - sine) ** 2) / np.sum(sine**2)), np.linalg.norm(there)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
@pytest.mark.parametrize("correction", [0.0, 23e-6, -0.005, 0.005])
def test_a_sine_stays_a_sine(rate_in, rate_out, correction):
    highest_hz = min(18_000, 0.4 * min(rate_in, rate_out))
    frequencies_hz = np.array([100.0, highest_hz])
    varispeed = Varispeed(rate_in, rate_out, 2, 4096)
    heard = play(varispeed, sines(rate_in, 1, frequencies_hz), [256], [correction])
    for side, frequency_hz in enumerate(frequencies_hz):
        cycles = frequency_hz / rate_out * (1 + correction)
        noise, level = noise_db(heard[rate_out // 5 :, side], cycles)
        assert noise < -90
        assert level == pytest.approx(0.5, rel=0.005)


def test_what_lies_above_the_output_is_gone():
    heard = play(Varispeed(96_000, 44_100, 1, 1024), sines(96_000, 1, [24_000.0]), [512], [1e-4])
    assert np.abs(heard[10_000:]).max() < 1e-5


def test_block_lengths_change_nothing_but_rounding():
    sound = sines(48_000, 1, [440.0, 5000.0])
    heard = [play(Varispeed(48_000, 44_100, 2, 8192), sound, sizes) for sizes in ([1024], [1, 700])]
    length = min(len(part) for part in heard)
    np.testing.assert_allclose(heard[0][:length], heard[1][:length], atol=1e-6)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_the_delay_tells_which_sample_comes_next(rate_in, rate_out):
    """While the speed changes from block to block, across an octave for 96 to 48 kHz."""
    varispeed = Varispeed(rate_in, rate_out, 2, 4096)
    rng = np.random.default_rng(0)
    turning = np.exp(2j * np.pi * 50 / rate_in * np.arange(8 * rate_in))
    sound = np.stack([turning.real, turning.imag], axis=1).astype(np.float32)
    out = np.zeros((512, 2), np.float32)
    at, off_samples = 0, []
    for _ in range(7 * rate_out // len(out)):
        told = at - varispeed.delay_samples
        varispeed.set_correction(rng.uniform(-0.005, 0.005))
        while lacking := varispeed.lacking(len(out)):
            varispeed.push(sound[at : at + lacking])
            at += lacking
        varispeed.take(out)
        angle = np.angle(complex(*out[0]) * np.exp(-2j * np.pi * 50 / rate_in * told))
        off_samples.append(angle * rate_in / (2 * np.pi * 50))
    off = np.array(off_samples[20:])
    assert np.abs(off).max() < 6
    assert abs(off[:200].mean() - off[-200:].mean()) < 0.5


def test_cleared_it_starts_anew():
    varispeed = Varispeed(44_100, 44_100, 1, 1024)
    sound = sines(44_100, 0.5, [300.0])
    first = play(varispeed, sound, [441])
    varispeed.clear()
    assert varispeed.delay_samples == 0
    np.testing.assert_allclose(play(varispeed, sound, [441]), first, atol=1e-6)


@pytest.mark.parametrize(("rate_in", "rate_out"), RATES)
def test_cleared_it_gives_no_more_of_what_was_before(rate_in, rate_out):
    """And the next sample comes out within half a sample, of the slower side, of the first."""
    varispeed = Varispeed(rate_in, rate_out, 2, 1024)
    varispeed.set_correction(0.003)
    play(varispeed, np.ones((rate_in // 4, 2), np.float32), [300])
    varispeed.clear()
    assert abs(varispeed.delay_samples) <= varispeed.ratio / 2
    silence = play(varispeed, np.zeros((rate_in // 10, 2), np.float32), [300])
    assert np.abs(silence).max() < 1e-6


class _Heap(ctypes.Structure):
    """glibc's struct mallinfo2; `used` is its uordblks, the bytes that are in use."""

    _fields_ = (
        ("before", ctypes.c_size_t * 7),
        ("used", ctypes.c_size_t),
        ("behind", ctypes.c_size_t * 2),
    )


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"),
    reason="glibc's count of what is allocated",
)
def test_clearing_gives_no_buffers_back():
    heap = ctypes.CDLL(None).mallinfo2
    heap.restype = _Heap
    varispeed = Varispeed(44_100, 44_100, 2, 8192)
    sound = np.zeros((100_000, 2), np.float32)
    play(varispeed, sound, [512])
    varispeed.clear()
    play(varispeed, sound, [512])
    before = heap().used
    varispeed.clear()
    assert before - heap().used < 4096


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's count of page faults")
def test_clearing_and_playing_on_allocates_nothing():
    """No page fault where sound begins anew, as after an underflow: soxr keeps its buffers."""
    varispeed = Varispeed(44_100, 44_100, 2, 8192)
    sound = np.zeros((100_000, 2), np.float32)
    play(varispeed, sound, [512])
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(20):
        varispeed.clear()
        play(varispeed, sound[:3000], [512])
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before < 20

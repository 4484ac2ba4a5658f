"""From one engine to the next: what is heard meanwhile, where it changes, and for how long."""

import numpy as np
import pytest

from rtsep.live.handover import PIECE, SETTLE_S, WITHIN_S, Handover

RATE, HOP = 44_100, 1024
SHORT, LONG = 3000, 11_000  # latencies, in samples


class Delay:
    """An engine that does nothing but delay `sound`, (samples, 2); it knows where it is by counting."""

    def __init__(self, sound, latency):
        self._sound = np.concatenate([np.zeros((latency, 2), np.float32), sound])
        self._at = 0

    def process(self, block, out, wait_until_s=0.0):
        out[:] = self._sound[self._at : self._at + len(block)]
        self._at += len(block)


def _hand_over(sound, before, after, size=480, at=RATE):
    """What is heard, and the samples at which the fade begins and ends."""
    old, new = Delay(sound, before), Delay(sound, after)
    out = np.zeros_like(sound)
    old.process(sound[:at], out[:at])
    new.process(sound[:at], np.zeros((at, 2), np.float32))
    handover, begins, done = Handover(HOP, 2), None, at
    handover.begin()
    while not handover.is_over:
        block = sound[done : done + size]
        taken = 0
        while taken < len(block) and not handover.is_over:
            was_fading = handover._is_fading
            count = handover.process(old, new, block[taken:], out[done + taken : done + len(block)])
            if was_fading and begins is None:
                begins = done + taken
            taken += count
        done += taken
    new.process(sound[done:], out[done:])
    return out, begins, done


def _tone(samples):
    t = np.arange(samples) / RATE
    return np.repeat(0.3 * np.sin(2 * np.pi * 221 * t)[:, None], 2, axis=1).astype(np.float32)


def _noise(samples, seed=1):
    return np.random.default_rng(seed).normal(0, 0.1, (samples, 2)).astype(np.float32)


@pytest.mark.parametrize("size", [64, 480, 4096])
@pytest.mark.parametrize(("before", "after"), [(SHORT, LONG), (LONG, SHORT)], ids=["up", "back"])
def test_what_is_repeated_or_left_out_is_the_difference_and_no_more(before, after, size):
    sound = _noise(4 * RATE)
    out, begins, ends = _hand_over(sound, before, after, size)
    assert ends - begins == HOP
    np.testing.assert_array_equal(out[before:begins], sound[: begins - before])
    np.testing.assert_array_equal(out[ends:], sound[ends - after : len(sound) - after])
    # In the fade nothing else is heard, and it never exceeds the louder of the two.
    here = np.arange(begins, ends)
    loudest = np.maximum(np.abs(sound[here - before]), np.abs(sound[here - after]))
    assert (np.abs(out[here]) <= loudest + 1e-7).all()


@pytest.mark.parametrize(("before", "after"), [(SHORT, LONG), (LONG, SHORT)], ids=["up", "back"])
def test_a_tone_has_no_corner(before, after):
    out, begins, _ = _hand_over(_tone(4 * RATE), before, after)
    assert begins == pytest.approx((1 + WITHIN_S) * RATE, abs=PIECE)
    heard = out[max(before, after) :, 0]
    steepest = 0.3 * 2 * np.pi * 221 / RATE
    assert np.abs(np.diff(heard)).max() < 1.1 * steepest
    assert np.abs(np.diff(heard, 2)).max() < 3 * steepest**2 / 0.3


@pytest.mark.parametrize(("before", "after"), [(SHORT, LONG), (LONG, SHORT)], ids=["up", "back"])
def test_it_fades_where_both_are_quiet(before, after):
    """Gaps of 0.3 s, of which the two hear 0.12 s at the same time, between notes of 0.5 s."""
    sound = _noise(5 * RATE)
    gap = np.arange(len(sound)) % int(0.8 * RATE) > 0.5 * RATE
    sound[gap] *= 0.01
    out, begins, ends = _hand_over(sound, before, after)
    for latency in (before, after):
        assert np.abs(sound[begins - latency : ends - latency]).max() < 0.01
    assert np.abs(out[begins:ends]).max() < 0.01
    assert (1 + SETTLE_S) * RATE <= begins < (1 + WITHIN_S) * RATE


def test_silence_is_quiet_and_what_is_not_quiet_is_not_waited_for_longer_than_a_second():
    silent, loud = np.zeros((3 * RATE, 2), np.float32), _noise(3 * RATE)
    assert _hand_over(silent, SHORT, LONG)[1] <= (1 + SETTLE_S) * RATE + 2 * PIECE
    assert _hand_over(loud, SHORT, LONG)[1] <= (1 + WITHIN_S) * RATE + 2 * PIECE


def test_the_next_one_begins_anew():
    sound = _noise(3 * RATE)
    handover, out = Handover(HOP, 2), np.zeros((RATE, 2), np.float32)
    lasted = []
    for _ in range(2):
        old, new, done = Delay(sound, SHORT), Delay(sound, LONG), 0
        handover.begin()
        while not handover.is_over:
            done += handover.process(old, new, out[:PIECE], np.zeros((PIECE, 2), np.float32))
        lasted.append(done)
    assert lasted[0] == lasted[1] > WITHIN_S * RATE

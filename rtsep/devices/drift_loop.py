"""A delay-locked loop: how much faster one clock has to run so that a delay stays what it should be.

The error, measured delay minus wanted delay, is known once per audio block and jitters by as much as
threads are late, milliseconds. It goes through two low-pass filters and then to a proportional and an
integrating part: the integral settles at the relative drift of the two clocks. Second-order loop,
critically damped, as in F. Adriaensen, "Using a DLL to filter time" (Linux Audio Conference 2005);
for resamplers in "Controlling adaptive resampling" (Linux Audio Conference 2012).
"""

from __future__ import annotations

import math

# Bandwidth while the drift is being found, and the one that it falls to. At 0.02 Hz a millisecond of
# jitter becomes some 20 ppm of wow, a thirtieth of a cent, slower than once in several seconds.
FIRST_HZ = 0.1
LOCKED_HZ = 0.02
# The bandwidth falls like 1 / (1 + t / FALL_S).
FALL_S = 5.0
# Corner of the low-pass filters over the bandwidth; at 10 they cost 23 degrees of phase margin.
FILTER_RATIO = 10.0
# A good ear hears 5 cents (0.3 %). A delay that is wrong is put right slower than that.
MOST_PUSH = 0.002
# What the integral sees of the push. After a step of 20 ms, as where a device has stalled, it would
# otherwise run 1000 ppm ahead while the push is at its limit; so it is a third of that, and a clock
# that is off by as much as 3000 ppm is still found.
MOST_FED = 0.0005
# Clocks of sound devices differ by less than 0.05 %; more than this is another sample rate.
MOST_DRIFT = 0.01


class DriftLoop:
    """Errors in, corrections out. One user: an audio thread."""

    def __init__(self) -> None:
        self._since_start_s = 0.0
        self._smooth = self._smoother = 0.0
        self.drift = 0.0

    def restart(self) -> None:
        """The delay has been set anew: forget its error, keep the drift."""
        self._smooth = self._smoother = 0.0

    def update(self, error_s: float, block_s: float) -> float:
        """The correction to apply, relative, for a delay that is `error_s` too long.

        block_s: the duration of the block that it is applied to.
        """
        bandwidth_hz = max(LOCKED_HZ, FIRST_HZ / (1 + self._since_start_s / FALL_S))
        self._since_start_s += block_s
        omega = 2 * math.pi * bandwidth_hz
        share = 1 - math.exp(-FILTER_RATIO * omega * block_s)
        self._smooth += share * (error_s - self._smooth)
        self._smoother += share * (self._smooth - self._smoother)
        push = 2 * omega * self._smoother
        self.drift += 0.5 * omega * _limited(push, MOST_FED) * block_s
        self.drift = _limited(self.drift, MOST_DRIFT)
        return self.drift + _limited(push, MOST_PUSH)


def _limited(value: float, most: float) -> float:
    return max(-most, min(most, value))

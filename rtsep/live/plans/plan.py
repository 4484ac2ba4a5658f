"""The plan of a live stream: a few numbers, and everything that follows from them.

Counted in hops (frames). Frame t is complete when hop t has been collected. The nets run every
`stride` frames; a run sees `frames` frames and its masks serve `stride` of them:

    |<---------------------------- frames ----------------------------->|
    |              |<- stride ->|<- look_ahead ->|<--- extrapolated --->|
                    masks heard      newest frame: p

The nets were trained on music that goes on; zeros right behind the newest frame look like its end. So
short plans extrapolate a few frames to come, from the newest ones (see nets/forward.py).

They must be ready `compute_delay` hops after frame p. So frame t is mixed when

    delay = look_ahead + (stride - 1) + compute_delay

hops have come in after it, and its samples leave after the overlap-add of its synthesis window:
latency = (delay + synthesis hops) * hop samples. A compute delay may be part of a hop: frames are then
mixed `mix_offset` samples after the end of a hop, for which blocks are split, so nothing waits.

Frames are mixed when the first sample that needs them is asked for, no sooner: what a device's block
holds beyond that sample is time for the workers, too (see `time_for_run_ms`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import gcd, inf

from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.dsp.windows import WindowPair, asymmetric_pair, hann_pair
from rtsep.errors import UsageError
from rtsep.nets.view import View, views_of

# A compute delay may be a whole number of quarter hops.
COMPUTE_DELAY_STEPS = 4
# What a callback may spend waiting for masks of windows that its block completes, as a part of the
# block's duration: the rest is for the transforms, and for the callback to be called late.
MOST_WAITED = 0.6
# What short plans extrapolate; docs/experiments.md has the measurements.
EXTRAPOLATED = 4
# Views of a plan at most: each is a run of the net.
MOST_VIEWS = 16
# Spleeter's nets are slow to believe in singing: as long as they have seen little of what comes after a
# frame, its vocals' mask is lower than it is later. Pairs: frames seen after one, at most, in the mean
# over a run; factor on the mask that brings it nearest to the one with 12 frames (docs/experiments.md).
UNDERRATED_WEIGHTS = ((1.5, 1.2), (3.5, 1.1))


@dataclass(frozen=True)
class StreamPlan:
    """How a stream is cut up and how late it may be. All counts in hops of `hop` samples.

    Parameters
    ----------
    name : str
        A name, or the plan spelt out as in notation.py.
    frames : int
        What a net sees at once, T; a multiple of 64. Of several views, the longest.
    stride : int
        Frames between two runs of a net, h.
    look_ahead : int
        Frames that a run sees after the newest one it decides, d.
    compute_delay : float
        Hops granted to the workers from window complete to masks ready, c; a multiple of
        1/COMPUTE_DELAY_STEPS. With 0 the callback itself waits for late workers, up to MOST_WAITED
        of the duration of its block; with more it waits only where a block is too long (see
        `time_for_run_ms`) or asked for ahead of time (asked_ahead.py).
    asymmetric : bool
        A synthesis window of two hops in place of four (see dsp/windows.py).
    hop, frame_length : int
        Of the transform, in samples.
    ratio_exponent : int
        Power of the nets' estimates in the ratio mask, 1 or 2 (see dsp/masking.py).
    extrapolated : int
        Frames of the window behind the newest one, made up from those before it.
    views : tuple of View
        How each net is shown the newest frames: it runs once for each view, and its mask is the mean
        (see nets/views.py). By default as they are, in one window.

    Raises
    ------
    UsageError
        Where the numbers do not fit together.
    """

    name: str
    frames: int
    stride: int
    look_ahead: int
    compute_delay: float
    asymmetric: bool = False
    hop: int = HOP
    frame_length: int = FRAME_LENGTH
    ratio_exponent: int = 1
    extrapolated: int = 0
    views: tuple[View, ...] = ()

    def __post_init__(self) -> None:
        if not self.views:
            object.__setattr__(self, "views", (View(self.frames),))
        for frames in self.view_times:
            if frames < 64 or frames % 64:
                raise UsageError(f"frames must be a multiple of 64: got frames={frames}")
        if len(self.views) > MOST_VIEWS:
            raise UsageError(f"a plan has at most {MOST_VIEWS} views: got {len(self.views)}")
        if self.frames != max(self.view_times) or self.views != views_of(self.view_times):
            raise UsageError(
                "views must be those of views_of, frames those of the longest: got "
                f"views={self.views} and frames={self.frames}"
            )
        if self.stride < 1 or self.look_ahead < 0:
            raise UsageError(
                "stride must be at least 1, look_ahead at least 0: got "
                f"stride={self.stride}, look_ahead={self.look_ahead}"
            )
        if not 0 <= self.compute_delay < inf or self.compute_delay * COMPUTE_DELAY_STEPS % 1:
            raise UsageError(
                f"compute_delay must be a multiple of 1/{COMPUTE_DELAY_STEPS} hop, at least 0: got "
                f"compute_delay={self.compute_delay}"
            )
        if self.ratio_exponent not in (1, 2):
            raise UsageError(
                f"ratio_exponent must be 1 or 2: got ratio_exponent={self.ratio_exponent}"
            )
        shortest = min(self.view_times)
        if not 0 <= self.extrapolated <= shortest // 2:
            raise UsageError(
                "extrapolated must be at least 0 and at most half of frames: got "
                f"{self.extrapolated} of {shortest}"
            )
        if self.stride + self.look_ahead > shortest - self.extrapolated:
            raise UsageError(
                "stride + look_ahead must fit in frames, less those extrapolated: got "
                f"{self.stride} + {self.look_ahead} > {shortest - self.extrapolated}"
            )

    @property
    def view_times(self) -> dict[int, int]:
        """How often each net is shown a window, by the window's frames."""
        return dict(Counter(view.frames for view in self.views))

    @property
    def real_frames(self) -> int:
        """Frames of the longest window that have come in: all but those extrapolated."""
        return self.frames - self.extrapolated

    @property
    def windows(self) -> WindowPair:
        """Analysis and synthesis window."""
        pair = asymmetric_pair if self.asymmetric else hann_pair
        return pair(self.frame_length, self.hop)

    @property
    def delay_hops(self) -> int:
        """Whole hops from a frame's completion to its mix; see `mix_offset` for the rest."""
        return self.look_ahead + self.stride - 1 + int(self.compute_delay)

    @property
    def mix_offset(self) -> int:
        """Samples after the end of a hop at which a frame is mixed, less than a hop."""
        return int(self.compute_delay % 1 * self.hop)

    @property
    def latency_samples(self) -> int:
        """Samples from input to output, devices not counted."""
        return (self.delay_hops + self.windows.overlap_hops) * self.hop + self.mix_offset

    @property
    def latency_ms(self) -> float:
        """latency_samples in milliseconds."""
        return 1000 * self.latency_samples / SAMPLE_RATE

    @property
    def period_ms(self) -> float:
        """Time between two runs of a net, in milliseconds."""
        return 1000 * self.stride * self.hop / SAMPLE_RATE

    @property
    def deadline_ms(self) -> float:
        """Time a net has for a run without falling behind or coming late, in milliseconds.

        Where samples come and go one by one; see `time_for_run_ms` for blocks. With compute delay 0
        it is what a callback waits at most, with blocks of a hop.
        """
        granted_hops = self.compute_delay or MOST_WAITED
        return 1000 * min(self.stride, granted_hops) * self.hop / SAMPLE_RATE

    def time_for_run_ms(self, block: int) -> float:
        """As deadline_ms, but for a device that gives `block` samples at a time, at 44.1 kHz.

        Samples come in whole blocks: between the block that completes a window and the one that needs
        its masks there may be none, if one block does both. Where blocks are longer than hops that
        cannot be helped: the callback waits, and the runs of one block share what it may wait. With a
        compute delay of part of a hop another one can be chosen, and waiting does not count. Blocks
        that divide a hop never do both: they give the workers one block more than the delay says.
        """
        # A hop ends somewhere in a block: at a multiple of `step`, the first of which is the worst.
        step, period = gcd(block, self.hop), self.stride * self.hop
        needed_after = step + int(self.compute_delay * self.hop)
        blocks, waited = needed_after // block, 0.0
        if self.compute_delay == 0:
            waited = MOST_WAITED * min(block, self.hop)
        elif blocks == 0 and self.compute_delay >= 1:
            waited = MOST_WAITED * block / ((block - needed_after - 1) // period + 1)
        return 1000 * min(period, blocks * block + waited) / SAMPLE_RATE

    @property
    def underrated_weight(self) -> float:
        """Factor on the masks of stems that the nets underrate (see registry.ModelConfig).

        Plans of one view have none: they are the reference that the others are compared with.
        """
        if len(self.views) == 1:
            return 1.0
        seen_after = self.look_ahead + (self.stride - 1) / 2
        return next((weight for most, weight in UNDERRATED_WEIGHTS if seen_after <= most), 1.0)

    @property
    def history_frames(self) -> int:
        """Frames to keep: no window is overwritten before its masks are due."""
        granted = max(self.stride, int(self.compute_delay) + 1)
        return max(self.real_frames + granted, self.delay_hops + 1)

    @property
    def mask_slots(self) -> int:
        """Runs whose masks are kept at once: the one being heard and those waiting.

        The masks of a run are heard for the last time before the hop that completes the window of
        run + mask_slots, which takes their slot.
        """
        return -(-int(self.compute_delay) // self.stride) + 1

    def run_after(self, frame: int) -> int | None:
        """Number of the run whose window ends with `frame`; None if none does."""
        return (frame + 1) // self.stride - 1 if (frame + 1) % self.stride == 0 else None

    def window_stop(self, run: int) -> int:
        """The frame behind the newest one that `run` sees."""
        return (run + 1) * self.stride

    def run_of(self, frame: int) -> tuple[int, int]:
        """The run whose masks serve `frame`, and the row among the `stride` rows it gives."""
        return divmod(frame + self.look_ahead, self.stride)

    def last_frame(self, run: int) -> int:
        """The last frame that the masks of `run` serve."""
        return (run + 1) * self.stride - 1 - self.look_ahead

    @property
    def rows(self) -> slice:
        """Rows of the longest window whose masks are heard."""
        stop = self.real_frames - self.look_ahead
        return slice(stop - self.stride, stop)


# SpleeterRT's ping-pong of two images of 128 frames, 256 hops (5.94 s) in all. Of the second image's
# 128 hops the overlap-add takes three, so the workers have 125. Its masks are Spleeter's, too.
_CLASSIC = StreamPlan(
    "classic", frames=128, stride=128, look_ahead=0, compute_delay=125, ratio_exponent=2
)
# 255 ms, a run every second hop.
_BALANCED = StreamPlan(
    "balanced", frames=64, stride=2, look_ahead=4, compute_delay=2, extrapolated=EXTRAPOLATED
)
# 93 ms, a run of every view every hop.
_LOW = StreamPlan(
    "low",
    frames=128,
    stride=1,
    look_ahead=1,
    compute_delay=1,
    asymmetric=True,
    extrapolated=EXTRAPOLATED,
    views=views_of({64: 3, 128: 1}),
)

PLANS = {plan.name: plan for plan in (_LOW, _BALANCED, _CLASSIC)}

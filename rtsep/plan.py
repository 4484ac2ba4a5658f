"""The plan of a live stream: five numbers, and everything that follows from them.

Counted in hops (frames). Frame t is complete when hop t has been collected. The nets run every
`stride` frames; a run sees the newest `frames` frames and its masks serve `stride` of them:

    |<------------------ frames ------------------->|  newest frame: p
    |                          |<- stride ->|<- look_ahead ->|
                                masks heard

They must be ready `compute_delay` hops after frame p. So frame t is heard when hop t + delay_hops is
processed, delay_hops = look_ahead + (stride - 1) + compute_delay, and its samples leave after the
overlap-add of its synthesis window: latency = (delay_hops + synthesis hops) * hop samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.dsp.windows import WindowPair, asymmetric_pair, hann_pair
from rtsep.errors import UsageError
from rtsep.models.registry import FRAME_LENGTH, HOP, SAMPLE_RATE


@dataclass(frozen=True)
class StreamPlan:
    """How a stream is cut up and how late it may be. All counts in hops of `hop` samples.

    frames: T, what a net sees at once; a multiple of 64.
    stride: h, frames between two runs of a net.
    look_ahead: d, frames that a run sees after the newest one it decides.
    compute_delay: c, hops granted to the workers from window complete to masks ready.
    asymmetric: a synthesis window of two hops in place of four (see dsp/windows.py).

    Raises UsageError where the numbers do not fit together.
    """

    name: str
    frames: int
    stride: int
    look_ahead: int
    compute_delay: int
    asymmetric: bool = False
    hop: int = HOP
    frame_length: int = FRAME_LENGTH

    def __post_init__(self):
        if self.frames < 64 or self.frames % 64:
            raise UsageError(f"frames must be a multiple of 64: got frames={self.frames}")
        if self.stride < 1 or self.look_ahead < 0 or self.compute_delay < 1:
            raise UsageError(
                "stride and compute_delay must be at least 1, look_ahead at least 0: got "
                f"stride={self.stride}, compute_delay={self.compute_delay}, "
                f"look_ahead={self.look_ahead}"
            )
        if self.stride + self.look_ahead > self.frames:
            raise UsageError(
                f"stride + look_ahead must fit in frames: got {self.stride} + {self.look_ahead} > "
                f"{self.frames}"
            )

    @property
    def windows(self) -> WindowPair:
        """Analysis and synthesis window."""
        pair = asymmetric_pair if self.asymmetric else hann_pair
        return pair(self.frame_length, self.hop)

    @property
    def delay_hops(self) -> int:
        """Hops from a frame's completion to the hop in which it is heard."""
        return self.look_ahead + self.stride - 1 + self.compute_delay

    @property
    def latency_samples(self) -> int:
        """Samples from input to output, devices not counted."""
        return (self.delay_hops + self.windows.overlap_hops) * self.hop

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
        """Time a net has for a run without falling behind or coming late, in milliseconds."""
        return 1000 * min(self.stride, self.compute_delay) * self.hop / SAMPLE_RATE

    @property
    def history_frames(self) -> int:
        """Frames to keep: no window is overwritten before its masks are due."""
        return max(self.frames + max(self.stride, self.compute_delay + 1), self.delay_hops + 1)

    @property
    def mask_slots(self) -> int:
        """Runs whose masks are kept at once: those being heard, those waiting, the one written."""
        return -(-self.compute_delay // self.stride) + 1

    def run_after(self, frame: int) -> int | None:
        """Number of the run whose window ends with `frame`; None if none does."""
        return (frame + 1) // self.stride - 1 if (frame + 1) % self.stride == 0 else None

    def window_start(self, run: int) -> int:
        """First frame of the window of `run`; negative at the start of a stream (silence)."""
        return (run + 1) * self.stride - self.frames

    def run_of(self, frame: int) -> tuple[int, int]:
        """The run whose masks serve `frame`, and the row among the `stride` rows it gives."""
        return divmod(frame + self.look_ahead, self.stride)

    @property
    def rows(self) -> slice:
        """Rows of a window whose masks are heard."""
        stop = self.frames - self.look_ahead
        return slice(stop - self.stride, stop)


# SpleeterRT's ping-pong of two images of 128 frames, 256 hops (5.94 s) in all. Of the second image's
# 128 hops the overlap-add takes three, so the workers have 125.
_CLASSIC = StreamPlan("classic", frames=128, stride=128, look_ahead=0, compute_delay=125)
# 255 ms, a run every second hop.
_BALANCED = StreamPlan("balanced", frames=64, stride=2, look_ahead=4, compute_delay=2)
# 93 ms, a run every hop.
_LOW = StreamPlan("low", frames=64, stride=1, look_ahead=1, compute_delay=1, asymmetric=True)

PLANS = {plan.name: plan for plan in (_LOW, _BALANCED, _CLASSIC)}


def find_plan(name: str) -> StreamPlan:
    """The plan called `name`; raises UsageError naming the known ones."""
    try:
        return PLANS[name]
    except KeyError:
        raise UsageError(f"unknown latency {name!r}: choose one of {', '.join(PLANS)}") from None

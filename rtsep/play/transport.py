"""Where in the song the sound is: position, loop, and what is to be read for the next samples.

    . . . a ============== b . . .       the loop [a, b)
          ^              xx|             over its last samples, `xx`, what lies before b fades out
        yy|                              while what lies before a, `yy`, fades in

So a pass of the loop lasts b - a samples, exactly, and the sound goes over from the end to the
beginning without a step: what follows `yy` is the sample at a.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import UsageError

# The fade at a loop's end, 12 ms: long enough not to click, too short to be heard as a fade.
LOOP_FADE_SAMPLES = 512
# Below this a loop is a tone and no music.
SHORTEST_LOOP_SAMPLES = SAMPLE_RATE // 10  # and more than the fade


@dataclass(frozen=True)
class Loop:
    """Samples [begin, end) of the song, to be played again and again.

    Raises UsageError unless the end comes SHORTEST_LOOP_SAMPLES or more after the beginning.
    """

    begin: int
    end: int

    def __post_init__(self) -> None:
        if self.begin < 0 or self.end - self.begin < SHORTEST_LOOP_SAMPLES:
            raise UsageError(
                "a loop must begin at 0 s or later and end at least"
                f" {SHORTEST_LOOP_SAMPLES / SAMPLE_RATE:g} s after its beginning: got"
                f" {self.begin / SAMPLE_RATE:.2f} to {self.end / SAMPLE_RATE:.2f} s"
            )


@dataclass(frozen=True)
class Span:
    """Samples [begin, begin + count) of the song, one after the other.

    into: where that begins which fades in meanwhile, maybe before the song; None without a fade.
    faded: how many samples of the fade lie before this span.
    """

    begin: int
    count: int
    into: int | None = None
    faded: int = 0


@dataclass
class Transport:
    """Position in the song and the loop. One user: the thread that renders.

    Parameters
    ----------
    position : int
        The next sample to be read.
    loop : Loop, optional
        A position behind its end plays on to the end of the song.
    wrapped : bool
        Whether the sound has come to `position` from the loop's end.
    """

    position: int = 0
    loop: Loop | None = None
    wrapped: bool = False

    def next_spans(self, count: int, length: int) -> list[Span]:
        """What is to be read for the next `count` samples of a song of `length`; fewer at its end."""
        ahead = replace(self)
        spans = []
        while count > 0:
            span = ahead._next_span(count, length)
            if span.count <= 0:
                break
            spans.append(span)
            ahead.advance(span.count)
            count -= span.count
        return spans

    def advance(self, count: int) -> None:
        """Go on by `count` samples, which reach to the loop's end at most."""
        self.position += count
        if self.loop is not None and self.position == self.loop.end:
            self.position, self.wrapped = self.loop.begin, True

    def before(self, samples: float) -> float:
        """The position `samples` ago, through the loop if the sound has come through it."""
        position = self.position - samples
        if self.wrapped and self.loop is not None and position < self.loop.begin:
            length = self.loop.end - self.loop.begin
            return self.loop.end - (self.loop.begin - position) % length
        return max(0.0, position)

    def _next_span(self, count: int, length: int) -> Span:
        loop = self.loop
        if loop is None or self.position >= loop.end:
            return Span(self.position, min(count, length - self.position))
        fade_begin = loop.end - LOOP_FADE_SAMPLES
        if self.position < fade_begin:
            return Span(self.position, min(count, fade_begin - self.position))
        faded = self.position - fade_begin
        into = loop.begin - LOOP_FADE_SAMPLES + faded
        return Span(self.position, min(count, loop.end - self.position), into, faded)

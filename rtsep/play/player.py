"""Two threads between a song and the device: one renders ahead, the device's takes what is there.

    rendering thread                                   audio thread
      commands -> Rendering -> Feed's ring  - - - ->     pull, fade
                    a seek: a new Feed, filled, offered ->  go over to it within a block

A Feed is a rendering with a ring of its own. A seek, a loop that is set, or a tempo that needs other
buffers makes a new one. The rendering thread fills it before it offers it; the audio thread fades from
the old one to the new one. So nothing that is read is ever written over, no lock is needed, and no
change clicks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.devices.playback import LONGEST_BLOCK
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.dsp.ring import Ring
from rtsep.errors import RtsepError
from rtsep.play.rendering import Rendering

# How far is rendered ahead: what a change of a gain takes to be heard; further where the device takes
# longer blocks at once.
LEAD_S = 0.03
LEAD_BLOCKS = 2.0
# Between two looks at whether the ring needs more.
_LOOK_S = 0.004
# Where the sound begins, ends, or goes over to a new feed.
_FADE_S = 0.006
# A feed holds this much more than two of the longest blocks: what the renderer gives at once.
_MORE_S = 1.0
_MARKS = 256


class Feed:
    """A rendering and what is rendered of it and not heard yet.

    ring: (samples, 2) at the device's rate. Writer: rendering thread; reader: audio thread.
    starved: its stems are being waited for. Writer: rendering thread.
    follows, at: the feed that it goes on from, and the sample of that one's ring with which it begins;
    without one it is heard at once.
    """

    def __init__(self, rendering: Rendering, follows: Feed | None = None, at: int = 0):
        self.rendering = rendering
        self.follows, self.at = follows, at
        self.ring = Ring(2 * LONGEST_BLOCK + round(_MORE_S * rendering.rate), NET_CHANNELS)
        self.starved = False
        # (samples pushed before a block, rendering, position in the song there, samples of the song for
        # each of the device). Writer: rendering thread; readers: any, of a copy.
        self._marks: deque[tuple[int, Rendering, float, float]] = deque(maxlen=_MARKS)

    @property
    def over(self) -> bool:
        """Whether everything has been heard."""
        return self.rendering.ended and self.ring.waiting == 0

    def push(self, rendering: Rendering, position: float, block: NDArray[np.float32]) -> None:
        """Add what has been rendered from `position` on."""
        pace = SAMPLE_RATE / rendering.rate * rendering.speed.tempo_percent / 100
        self._marks.append((self.ring.written, rendering, position, pace))
        self.ring.push(block)

    def heard(self, sample: int | None = None) -> tuple[Rendering, float]:
        """The rendering of a sample of the ring, by default the next one, and its place in the song."""
        read = self.ring.read if sample is None else sample
        found = self.rendering, self.rendering.position, 0.0
        for pushed, rendering, position, pace in reversed(tuple(self._marks)):
            found = rendering, position, (read - pushed) * pace
            if pushed <= read:
                break
        rendering, begun, more = found
        position, loop = max(0.0, begun + more), rendering.mix.transport.loop
        if loop is not None and begun < loop.end <= position:
            position -= loop.end - loop.begin
        return rendering, position


class Player:
    """Plays renderings. `process` is for the audio thread, all else for any other.

    Parameters
    ----------
    rate : int
        Of the device.
    on_end : callable
        Asked by the rendering thread, when a song has been rendered to its end, for what follows
        without a gap; None for nothing.

    Attributes
    ----------
    playing : bool
        Whether the sound goes on. Writer: whoever controls; reader: audio thread.
    underruns : int
        Blocks for which too little had been rendered. Writer: audio thread.
    failure : RtsepError or None
        Why nothing more is rendered. Writer: rendering thread.
    """

    def __init__(self, rate: int, on_end: Callable[[], Rendering | None] = lambda: None):
        self.rate, self._on_end = rate, on_end
        self.playing = False
        self.underruns = 0
        self.failure: RtsepError | None = None
        # writer: rendering thread; readers: audio thread and any
        self._offered: Feed | None = None
        # The longest block that the device has asked for.
        # Writer: audio thread; reader: rendering thread.
        self._longest_block = 0
        # All that follows: writer and reader are the audio thread.
        self._feed: Feed | None = None
        self._was_playing = False
        self._block = np.zeros((LONGEST_BLOCK, NET_CHANNELS), np.float32)
        self._other = np.zeros((LONGEST_BLOCK, NET_CHANNELS), np.float32)
        self._fade_samples = max(1, round(_FADE_S * rate))
        # 1, 2, 3, ... and a fade made of it, (samples, 1)
        self._line = np.arange(1, self._fade_samples + 1, dtype=np.float32)[:, np.newaxis]
        self._fade = np.zeros_like(self._line)
        # What others want of the rendering thread.
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="rtsep rendering", daemon=True)

    # --- for whoever controls it --------------------------------------------------------------------

    def start(self) -> None:
        """Begin to render."""
        self._thread.start()

    def close(self) -> None:
        """End rendering. The device must have been closed."""
        self._stop = True
        if self._thread.is_alive():
            self._thread.join()

    def begin_anew(self) -> None:
        """Fade in with the next block; while no device runs `process`."""
        self._was_playing = False

    def on_rendering_thread(self, command: Callable[[], None]) -> None:
        """Have something done between two blocks."""
        self._commands.put(command)

    def offer(self, rendering: Rendering) -> None:
        """Go over to another rendering as soon as its beginning is there; on the rendering thread."""
        self._offer(Feed(rendering))

    def go_on_with(self, make: Callable[[Rendering, int], Rendering]) -> None:
        """Go over to another rendering of the same song without a gap; on the rendering thread.

        make: makes it from the old one and the position at which it begins.
        """
        feed = self._offered
        assert feed is not None
        at = feed.ring.written - self._fade_samples
        goes_on = self.playing and self._feed is feed and at > feed.ring.read
        rendering, position = feed.heard(at) if goes_on else self.heard()
        new = make(rendering, round(position))
        self._offer(Feed(new, feed, at) if goes_on else Feed(new))

    def heard(self) -> tuple[Rendering, float]:
        """The rendering, and the position in its song, that is heard next; there must be a feed."""
        offered, feed = self._offered, self._feed
        assert offered is not None
        goes_on = feed is not None and offered.follows is feed
        return feed.heard() if goes_on and feed is not None else offered.heard()

    def _offer(self, feed: Feed) -> None:
        self._fill(feed)
        self._offered = feed

    @property
    def feed(self) -> Feed | None:
        """What is heard, or about to be."""
        return self._offered

    @property
    def over(self) -> bool:
        """Whether the last song has been heard to its end."""
        return self._offered is not None and self._offered.over

    def check(self) -> None:
        """Raise RtsepError where nothing more is rendered."""
        if self.failure is not None:
            raise self.failure

    # --- the audio thread ---------------------------------------------------------------------------

    def process(self, _block: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Fill `out`, (samples up to LONGEST_BLOCK, channels) float32. Real-time safe."""
        block = self._block[: len(out)]
        self._longest_block = max(self._longest_block, len(out))
        offered = self._offered
        if offered is not self._feed and offered is not None:
            feed, own = self._feed, 0
            if feed is not None and offered.follows is feed:
                own = min(max(0, offered.at - feed.ring.read), len(block))
            if own:
                self._pull(block[:own])
            if own < len(block):
                self._go_over(offered, block[own:])
        else:
            self._pull(block)
        if out.shape[1] == NET_CHANNELS:
            out[:] = block
        else:
            # A mono device hears both sides, one of more channels the first two.
            out[:] = 0
            out[:, :NET_CHANNELS] = block[:, : out.shape[1]]
            if out.shape[1] == 1:
                out += block[:, 1:]
                out *= 0.5

    def _pull(self, block: NDArray[np.float32]) -> None:
        """The next samples of the feed, with a fade where the sound begins or ends."""
        playing, feed = self.playing, self._feed
        if feed is None or not (playing or self._was_playing):
            block.fill(0.0)
            return
        fade = min(len(block), self._fade_samples)
        # What follows the fade-out is kept for when the sound goes on.
        wanted = block if playing else block[:fade]
        count = feed.ring.pull(wanted)
        block[count:] = 0.0
        if count < len(wanted) and not feed.rendering.ended and not feed.starved:
            self.underruns += 1
        if playing and not self._was_playing:
            block[:fade] *= self._rise(fade)
        elif not playing:
            block[:fade] *= self._fall(fade)
        self._was_playing = playing

    def _go_over(self, offered: Feed, block: NDArray[np.float32]) -> None:
        """From the old feed to the new one, fading."""
        if self._feed is None or not self._was_playing:
            self._feed = offered
            self._pull(block)
            return
        other = self._other[: len(block)]
        self._pull(other)
        self._feed, self._was_playing = offered, False
        self._pull(block)  # fades in, if it plays
        fade = min(len(block), self._fade_samples)
        other[:fade] *= self._fall(fade)
        block[:fade] += other[:fade]

    def _rise(self, count: int) -> NDArray[np.float32]:
        """From 0 to 1 within `count` samples, the length of a fade at most; valid until the next one."""
        return np.multiply(self._line[:count], 1 / count, out=self._fade[:count])

    def _fall(self, count: int) -> NDArray[np.float32]:
        """From 1 to 0, likewise."""
        return np.subtract(1, self._rise(count), out=self._fade[:count])

    # --- the rendering thread -----------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stop:
                self._obey()
                if self._offered is not None:
                    self._fill(self._offered)
                time.sleep(_LOOK_S)
        except RtsepError as error:
            self.failure = error
        except Exception as error:  # a defect: the main thread shall say so
            self.failure = RtsepError(f"playing failed: {error!r}")

    def _obey(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except Empty:
                return
            command()

    def _fill(self, feed: Feed) -> None:
        lead_samples = max(LEAD_S * self.rate, LEAD_BLOCKS * self._longest_block)
        while feed.ring.waiting < lead_samples:
            rendering = feed.rendering
            position = rendering.position
            block = rendering.next_block()
            if block is None:
                feed.starved = True
                return
            feed.starved = False
            if len(block):
                feed.push(rendering, position, block)
            if rendering.ended:
                following = self._on_end()
                if following is None:
                    return
                feed.rendering = following  # without a gap

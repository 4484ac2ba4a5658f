"""How far ahead of time a device asks for blocks: then, and only then, callbacks may wait for masks.

    a steady device    B   B   B   B   B   B   B   B      each block when there is room for it
    one of bursts      BBBB            BBBB               all that there is room for, then nothing
                       |...> ahead by up to three blocks

A plan grants the nets a time between two blocks. Within a burst there is none, but there is no hurry,
either. Even if the device had nothing left when it asked for the first block, it needs the second when
that is played, and so on. So within a burst a callback may take as long as the sound that was given
since the burst began. It makes a steady stream of the bursts, on which the plan holds, and never brings
a device nearer to running dry than the first block of a burst does.

A block belongs to a burst if the device has not waited for anything since the last one was answered. A
block that comes earlier than others did, as after a moment in which the machine stood still, is not
asked ahead of time: what a device keeps for such moments is not spent on waiting.

Where masks are late all the same, the nets do not keep up, and waiting would only bring the device to
running dry as well. So then there is none for a while.
"""

from __future__ import annotations

from math import inf

# From one answer to the next question, in parts of a block or in seconds, whichever is longer: a device
# that takes longer has waited. (PortAudio on PulseAudio takes up to 1.2 ms on a busy machine.)
AT_ONCE, AT_ONCE_S = 0.25, 0.001
# For what the callback has to do after it has waited, and for being woken late.
MARGIN_S = 0.003
# After late masks nothing is waited for so long.
IN_VAIN_S = 1.0


class AskedAhead:
    """The blocks of one device. One user: the audio thread. Nothing here blocks or allocates.

    rate: of the blocks, in Hz.
    """

    def __init__(self, rate: int):
        self._rate = rate
        self._answered_s = -inf
        self._not_before_s = -inf  # after late masks
        self._needed_s = 0.0  # the block that is asked for next, at the earliest

    def wait_until_s(self, samples: int, now_s: float) -> float:
        """A block is asked for now; until when its callback may wait, 0 where it may not.

        now_s: of a clock that never goes back.
        """
        block_s = samples / self._rate
        if now_s - self._answered_s > max(AT_ONCE_S, AT_ONCE * block_s):
            self._needed_s = now_s
        until_s = self._needed_s - MARGIN_S
        self._needed_s += block_s
        return until_s if until_s > now_s >= self._not_before_s else 0.0

    def answered(self, now_s: float, *, late: bool) -> None:
        """It has been answered; late: with masks that came late."""
        self._answered_s = now_s
        if late:
            self._not_before_s = now_s + IN_VAIN_S

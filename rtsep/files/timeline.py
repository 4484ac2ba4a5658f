"""Where the frames of a decoded stream stand in time, and where silence belongs between them.

    time stamps   0      1      2             5      6      | 0      1
    frames        [====] [====] [====]        [====] [====] | [====] [====]
    given out     [====][====][====][silence ][====][====]    [====][====]
                                     a gap                    the next stream of a chain

Frames follow one another. Where the time stamps leave more room than rounding explains, something
is missing: a part that was cut out, sound that begins after the picture, or a packet that could not
be decoded. Silence of that length keeps what follows at its time, and in step with the picture.
Where time stamps go back a new stream has begun, and its frames are put behind what there is.
"""

from __future__ import annotations

from rtsep.files.remarks import Remarks

# Room that time stamps leave where nothing is missing: they are rounded, and encoders that are
# chained one after the other do not count their delay alike.
TOLERANCE_S = 0.010
# In containers that count in milliseconds and are written live, stamps wander by some frames.
COARSE_TOLERANCE_S = 0.050
# Time stamps that go back by less are overlapping frames, and no new stream.
BACK_S = 1.0
# A gap that leads beyond the length of the file is a damaged stamp. Lengths may be estimates.
BEYOND_END = 1.1
BEYOND_END_S = 1.0
LONGEST_GAP_S = 600.0  # where the length is not known


class Timeline:
    """The clock of one stream.

    begin_s: the time stamp at which the output begins, seconds.
    length_s: length of the file as far as known, or None.
    coarse: time stamps are coarse, see COARSE_TOLERANCE_S.
    may_have_gaps: the container can leave out time without being damaged.
    remarks: is told every gap, with its place.

    now_s: seconds given out so far, silence included.
    """

    def __init__(
        self,
        begin_s: float,
        length_s: float | None,
        *,
        coarse: bool,
        may_have_gaps: bool,
        remarks: Remarks,
    ):
        self.now_s = 0.0
        self._begin_s: float | None = begin_s
        self._latest_s = begin_s
        self._length_s, self._coarse, self._may_have_gaps = length_s, coarse, may_have_gaps
        self._remarks = remarks

    def advance(self, seconds: float) -> None:
        """Note that so much sound or silence has been given out."""
        self.now_s += seconds

    def rejoin(self) -> None:
        """Put the next frame right behind the last one, whatever its time stamp."""
        self._begin_s = None

    def gap_before_s(self, stamp_s: float | None, damage: str | None) -> float:
        """Seconds of silence to give out before a frame with this time stamp.

        stamp_s: None for a frame without one. damage: the decoder's reason where packets before
        this frame could not be decoded, else None.
        """
        gap_s = 0.0 if stamp_s is None else self._room_before_s(stamp_s, damage is not None)
        if gap_s > 0:
            self._tell_gap(gap_s, damage)
        elif damage is not None:
            self._remarks.damage(f"is damaged at {self.now_s:.2f} s ({damage})")
        return gap_s

    def _room_before_s(self, stamp_s: float, damaged: bool) -> float:
        """The room that time stamps leave before this one, if it is more than rounding; else 0."""
        if self._begin_s is None or stamp_s < self._latest_s - BACK_S:
            self._begin_s = stamp_s - self.now_s
        self._latest_s = stamp_s
        gap_s = stamp_s - self._begin_s - self.now_s
        if gap_s <= (COARSE_TOLERANCE_S if self._coarse and not damaged else TOLERANCE_S):
            return 0.0
        if self._leads_out(gap_s):
            self._remarks.damage(
                f"has time stamps that jump by {gap_s:.2f} s at {self.now_s:.2f} s: the jump is left out"
            )
            self._begin_s += gap_s
            return 0.0
        return gap_s

    def _leads_out(self, gap_s: float) -> bool:
        if self._length_s is None:
            return gap_s > LONGEST_GAP_S
        return self.now_s + gap_s > BEYOND_END * self._length_s + BEYOND_END_S

    def _tell_gap(self, gap_s: float, damage: str | None) -> None:
        begins_late = self.now_s == 0.0
        if damage is None and (begins_late or self._may_have_gaps):
            what = "has no sound" if begins_late else "has a gap in its sound"
            ends_s = self.now_s + gap_s
            self._remarks.note(
                f"{what} from {self.now_s:.2f} to {ends_s:.2f} s: silence stands there"
            )
        else:
            reason = f" ({damage})" if damage else ""
            self._remarks.damage(
                f"is damaged at {self.now_s:.2f} s{reason}: {gap_s:.3f} s are missing,"
                " silence stands there"
            )

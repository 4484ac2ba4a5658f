"""The mixer of a live stream: solo, mute, fade and trim of stems, and bypass.

Nothing here touches sound. Only an engine's `gains` and `bypass` are written, which the audio thread
reads once per hop and fades over its synthesis window, so that no step clicks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import UsageError

# How far `trim` goes; a gain given at start may lie beyond.
LOWEST_TRIM_DB, HIGHEST_TRIM_DB = -60.0, 24.0


@dataclass
class MixSettings:
    """How an engine mixes. Writer: whoever controls the mix. Reader: audio thread.

    gains: (stems,) float32, linear, written in place. bypass: pass the input in place of the mix.
    """

    gains: NDArray[np.float32]
    bypass: bool = False

    @classmethod
    def of(cls, stems: Sequence[str], gains: Mapping[str, float]) -> MixSettings:
        """Those of `gains`, by name of stem; stems that are left out are silent."""
        return cls(np.array([gains.get(stem, 0.0) for stem in stems], np.float32))


class MixTarget(Protocol):
    """What the mixer needs of an engine."""

    bypass: bool

    @property
    def stems(self) -> Sequence[str]:
        """Names of what it gives out."""
        ...

    @property
    def gains(self) -> NDArray[np.float32]:
        """(stems,) float32, linear, written in place by the mixer."""
        ...


class Mixable:
    """An engine's side of the mix. mix: may be shared by engines of one stream."""

    mix: MixSettings

    @property
    def gains(self) -> NDArray[np.float32]:
        """(stems,) float32: linear gain of each stem in the mix, to be written in place at any time."""
        return self.mix.gains

    @property
    def bypass(self) -> bool:
        """Whether the input is passed in place of the mix."""
        return self.mix.bypass

    @bypass.setter
    def bypass(self, bypass: bool) -> None:
        self.mix.bypass = bypass


@dataclass
class _Fade:
    """From `start` to `target` in `duration_s`, counted from the first tick on."""

    start: float
    target: float
    duration_s: float
    begun_s: float | None = None

    def at(self, now_s: float) -> float:
        if self.begun_s is None:
            self.begun_s = now_s
        if now_s - self.begun_s >= self.duration_s:
            return self.target
        done = max(0.0, now_s - self.begun_s) / self.duration_s
        return self.start + done * (self.target - self.start)


@dataclass
class Strip:
    """One stem's place on the mixer. Its gain is trim times fader, unless it is silenced.

    trim_db: decibels. fader: linear, moved by fades. mute_lifted: the mute stands back for a solo.
    """

    trim_db: float = 0.0
    fader: float = 1.0
    muted: bool = False
    soloed: bool = False
    mute_lifted: bool = False
    fade: _Fade | None = None


class MixControls:
    """The mixer of `engine`, to be used from one thread only.

    Solo as on a mixing desk: while any stem is soloed, only those are heard. Soloing a muted stem lifts
    its mute until the solo ends, or until it is muted again.

    Parameters
    ----------
    engine : MixTarget
        Whose gains are written.
    gains : mapping of str to float
        Linear gain of each stem at start. A stem without gain, or left out, starts muted with its trim
        at 0 dB, so that it can be brought in.
    selected : str, optional
        The stem that the keys act on at first; by default the first one.

    Raises
    ------
    UsageError
        For a stem that the engine does not give out.
    """

    def __init__(self, engine: MixTarget, gains: Mapping[str, float], selected: str | None = None):
        self._engine = engine
        self.stems = engine.stems
        # One per stem, in the order of the engine.
        self.strips = {stem: _strip(gains.get(stem, 0.0)) for stem in self.stems}
        for stem in gains:
            self._strip(stem)
        if selected is not None:
            self._strip(selected)
        # The stem that the keys act on.
        self.selected = selected or self.stems[0]
        self.write()

    # --- what a person does -----------------------------------------------------------------------

    def select(self, number: int) -> bool:
        """Select the stem with this number, counted from 1; False if there is none."""
        if not 1 <= number <= len(self.stems):
            return False
        self.selected = self.stems[number - 1]
        return True

    def stem_states(self) -> list[dict[str, Any]]:
        """What each stem's controls stand at, of values that JSON knows; see docs/control.md."""
        return [
            {
                "name": stem,
                "gain_db": round(strip.trim_db, 2),
                "fader": round(strip.fader, 3),
                "fading_to": strip.fader if strip.fade is None else strip.fade.target,
                "muted": strip.muted and not strip.mute_lifted,
                "soloed": strip.soloed,
                "heard": self.gain(stem) > 0,
            }
            for stem, strip in self.strips.items()
        ]

    def solo(self, stem: str, on: bool | None = None) -> None:
        """Solo `stem` or end that; without `on` whichever it is not."""
        strip = self._strip(stem)
        if on is strip.soloed:
            return
        strip.soloed = not strip.soloed
        strip.mute_lifted = strip.soloed and strip.muted
        self.write()

    def mute(self, stem: str, on: bool | None = None) -> None:
        """Mute `stem` or end that; without `on` whichever it is not. A lifted mute comes back."""
        strip = self._strip(stem)
        if on is (strip.muted and not strip.mute_lifted):
            return
        if strip.mute_lifted:
            strip.mute_lifted = False
        else:
            strip.muted = not strip.muted
        self.write()

    def trim(self, stem: str, delta_db: float) -> None:
        """Raise or lower the trim of `stem`, within LOWEST_TRIM_DB to HIGHEST_TRIM_DB."""
        self.set_trim(stem, self._strip(stem).trim_db + delta_db)

    def set_trim(self, stem: str, trim_db: float) -> None:
        """Set the trim of `stem`, within these limits, or nearer to them where it lies beyond."""
        strip = self._strip(stem)
        lowest = min(LOWEST_TRIM_DB, strip.trim_db)
        highest = max(HIGHEST_TRIM_DB, strip.trim_db)
        strip.trim_db = min(max(trim_db, lowest), highest)
        self.write()

    def fade(self, stem: str, target_gain: float, seconds: float) -> None:
        """Move the fader of `stem` evenly to `target_gain` (linear) within `seconds`, by `tick`.

        Raises UsageError unless both are finite and at least 0.
        """
        if not (0 <= target_gain < math.inf and 0 <= seconds < math.inf):
            raise UsageError(
                "a fade needs a gain and a time of at least 0: got "
                f"target_gain={target_gain}, seconds={seconds}"
            )
        strip = self._strip(stem)
        strip.fade = _Fade(strip.fader, target_gain, seconds)

    def fade_in_or_out(self, stem: str, seconds: float) -> None:
        """Fade `stem` out, or in again where it is out, on its way there or muted."""
        strip = self._strip(stem)
        if strip.muted and not strip.mute_lifted:
            strip.muted, strip.fader, strip.fade = False, 0.0, None
        target = strip.fader if strip.fade is None else strip.fade.target
        self.fade(stem, 0.0 if target > 0 else 1.0, seconds)

    def bypass(self, on: bool | None = None) -> None:
        """Pass the input, delayed as much as the mix, or the mix; without `on` whichever it is not."""
        self._engine.bypass = not self._engine.bypass if on is None else on

    # --- what becomes of it -----------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Move the faders to where they are at `now_s`, of any clock that never goes back."""
        for strip in self.strips.values():
            if strip.fade is not None:
                strip.fader = strip.fade.at(now_s)
                if strip.fader == strip.fade.target:
                    strip.fade = None
        self.write()

    def gain(self, stem: str) -> float:
        """Linear gain of `stem` in the mix."""
        strip = self._strip(stem)
        if strip.muted and not strip.mute_lifted:
            return 0.0
        if not strip.soloed and any(other.soloed for other in self.strips.values()):
            return 0.0
        return strip.fader * 10 ** (strip.trim_db / 20)

    @property
    def bypassed(self) -> bool:
        """Whether the input is heard instead of the mix."""
        return self._engine.bypass

    def _strip(self, stem: str) -> Strip:
        try:
            return self.strips[stem]
        except KeyError:
            raise UsageError(
                f"there is no stem {stem!r}: choose from {', '.join(self.stems)}"
            ) from None

    def write(self) -> None:
        """Give the engine the gains of now, as after strips were changed from outside."""
        for i, stem in enumerate(self.stems):
            self._engine.gains[i] = self.gain(stem)


def _strip(gain: float) -> Strip:
    if gain <= 0:
        return Strip(muted=True)
    return Strip(trim_db=20 * math.log10(gain))

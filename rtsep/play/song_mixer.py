"""The mixer of rtsep-play: rtsep-monitor's, for any thread, with settings that a song is found with."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from rtsep.errors import UsageError
from rtsep.live.mixer import (
    HIGHEST_TRIM_DB,
    LOWEST_TRIM_DB,
    Mixable,
    MixControls,
    MixSettings,
    Strip,
)
from rtsep.play.checks import check_number, whole
from rtsep.play.song_settings import StemSetting

FADE_S = 2.0


class MixedStems(Mixable):
    """What MixControls writes to and StemMix reads: a gain for each stem."""

    def __init__(self, stems: Sequence[str]):
        self.stems = tuple(stems)
        self.mix = MixSettings.of(self.stems, dict.fromkeys(self.stems, 1.0))


class SongMixer:
    """Mute, solo, gain and fades of the stems. Commands: any thread.

    Parameters
    ----------
    stems : sequence of str

    Attributes
    ----------
    mix : MixSettings
        What becomes of it; reader: the rendering thread.
    changed : bool
        Whether a command has changed something since `take`.
    """

    def __init__(self, stems: Sequence[str]):
        self.stems = tuple(stems)
        mixed = MixedStems(self.stems)
        self.mix, self.changed = mixed.mix, False
        # Used under the lock only, which is never held for long.
        self._controls = MixControls(mixed, dict.fromkeys(self.stems, 1.0))
        self._lock = threading.Lock()

    # --- commands -----------------------------------------------------------------------------------

    def set_gain_db(self, stem: str, gain_db: float) -> None:
        """Set a stem's gain; raises UsageError beyond LOWEST_TRIM_DB to HIGHEST_TRIM_DB."""
        wanted = check_number("gain_db", gain_db)
        if not LOWEST_TRIM_DB <= wanted <= HIGHEST_TRIM_DB:
            raise UsageError(
                f"the gain of {stem!r} must be {LOWEST_TRIM_DB:g} to {HIGHEST_TRIM_DB:g} dB:"
                f" got {wanted:g}"
            )
        with self._lock:
            self._controls.trim(stem, wanted - self._strip(stem).trim_db)
            self.changed = True

    def trim(self, stem: str, delta_db: float) -> None:
        """Raise or lower the gain of a stem."""
        delta = check_number("delta_db", delta_db)
        with self._lock:
            self._controls.trim(stem, delta)
            self.changed = True

    def mute(self, stem: str, muted: bool | None = None) -> None:
        """Mute a stem, or no longer; None toggles."""
        with self._lock:
            strip = self._strip(stem)
            if muted is None or (strip.muted and not strip.mute_lifted) != muted:
                self._controls.mute(stem)
            self.changed = True

    def solo(self, stem: str, soloed: bool | None = None) -> None:
        """Hear a stem alone, with the others soloed, or no longer; None toggles."""
        with self._lock:
            if soloed is None or self._strip(stem).soloed != soloed:
                self._controls.solo(stem)
            self.changed = True

    def fade(self, stem: str, seconds: float = FADE_S) -> None:
        """Fade a stem out, or in again."""
        duration_s = check_number("seconds", seconds)
        with self._lock:
            self._controls.fade_in_or_out(stem, duration_s)
            self.changed = True

    def bypass(self) -> None:
        """Hear every stem as it is, or the mix again."""
        with self._lock:
            self._controls.bypass()

    def select(self, number: int) -> None:
        """Select the stem that keys act on, counted from 1."""
        place = whole("number", number)
        with self._lock:
            self._controls.select(place)

    # --- for the session ----------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Move the faders, see MixControls.tick."""
        with self._lock:
            self._controls.tick(now_s)

    def settings(self) -> dict[str, StemSetting]:
        """What is set, by stem; one that was faded out counts as muted."""
        with self._lock:
            return {stem: _setting(strip) for stem, strip in self._controls.strips.items()}

    def take(self, settings: Mapping[str, StemSetting]) -> None:
        """Set the stems named as they were left; others stay as they are."""
        with self._lock:
            for stem, setting in settings.items():
                if stem in self._controls.strips and math.isfinite(setting.gain_db):
                    self._controls.strips[stem] = Strip(
                        trim_db=setting.gain_db, muted=setting.muted, soloed=setting.soloed,
                        mute_lifted=setting.muted and setting.soloed,
                    )  # fmt: skip
            self._controls.write()
            self.changed = False

    def state(self) -> list[dict[str, Any]]:
        """One object for each stem, of values that JSON knows."""
        with self._lock:
            return self._controls.stem_states()

    @property
    def selected(self) -> str:
        """The stem that keys act on."""
        return self._controls.selected

    def _strip(self, stem: str) -> Strip:
        self._controls.gain(stem)  # raises UsageError for an unknown one
        return self._controls.strips[stem]


def _setting(strip: Strip) -> StemSetting:
    target = strip.fader if strip.fade is None else strip.fade.target
    return StemSetting(round(strip.trim_db, 2), strip.muted or target == 0, strip.soloed)

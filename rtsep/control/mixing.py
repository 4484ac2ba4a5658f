"""The commands and the state of a mixer, for every program that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rtsep.control.commands import CommandMethods
from rtsep.live.mixer import HIGHEST_TRIM_DB, LOWEST_TRIM_DB, MixControls


class MixCommands(CommandMethods):
    """A mixer under control.

    Parameters
    ----------
    mixer : MixControls
        What the commands act on.
    levels_dbfs : callable
        The level of each stem and of the ``mix``, by name, in dBFS.
    """

    def __init__(self, mixer: MixControls, levels_dbfs: Callable[[], Mapping[str, float]]):
        self.mixer = mixer
        self._levels_dbfs = levels_dbfs

    def do_gain(self, stem: str, db: float) -> None:
        """Set a stem's trim."""
        self.mixer.set_trim(stem, db)

    def do_trim(self, stem: str, db: float) -> None:
        """Raise or lower a stem's trim."""
        self.mixer.trim(stem, db)

    def do_mute(self, stem: str, on: bool | None = None) -> None:
        """Mute a stem, or no longer."""
        self.mixer.mute(stem, on)

    def do_solo(self, stem: str, on: bool | None = None) -> None:
        """Hear a stem alone, with the others soloed, or no longer."""
        self.mixer.solo(stem, on)

    def do_fade(self, stem: str, seconds: float, gain: float | None = None) -> None:
        """Move a stem's fader; without a gain out, or in again."""
        if gain is None:
            self.mixer.fade_in_or_out(stem, seconds)
        else:
            self.mixer.fade(stem, gain, seconds)

    def do_bypass(self, on: bool | None = None) -> None:
        """Hear the input, or the mix."""
        self.mixer.bypass(on)

    def state(self) -> dict[str, Any]:
        """Of the mixer: a program adds what else it has."""
        levels_dbfs = self._levels_dbfs()
        mixer = self.mixer
        return {
            "stems": [
                stem | {"level_dbfs": round(levels_dbfs[stem["name"]], 1)}
                for stem in mixer.stem_states()
            ],
            "mix_dbfs": round(levels_dbfs["mix"], 1),
            "bypass": mixer.bypassed,
            "gain_range_db": [LOWEST_TRIM_DB, HIGHEST_TRIM_DB],
        }

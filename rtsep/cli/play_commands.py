"""rtsep-play under control: the session's commands by the protocol's names, and its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtsep.control.commands import CommandMethods
from rtsep.live.mixer import HIGHEST_TRIM_DB, LOWEST_TRIM_DB

if TYPE_CHECKING:
    from rtsep.play.session import PlaySession

_TRANSPORT = (
    "song", "playing", "waiting", "position_s", "duration_s", "done_s", "loop_s", "loop_mark_s",
    "tempo_percent", "key_semitones", "tuning_cents", "count_in_beats", "count_in_bpm",
)  # fmt: skip


class PlayCommands(CommandMethods):
    """The songs of rtsep-play. For the main thread."""

    def __init__(self, session: PlaySession):
        self._session = session
        self._do = session.command

    def do_gain(self, stem: str, db: float) -> None:
        """Set a stem's gain."""
        self._do("set_gain_db", stem=stem, gain_db=min(max(db, LOWEST_TRIM_DB), HIGHEST_TRIM_DB))

    def do_trim(self, stem: str, db: float) -> None:
        """Raise or lower it."""
        self._do("trim", stem=stem, delta_db=db)

    def do_mute(self, stem: str, on: bool | None = None) -> None:
        """Mute a stem, or no longer."""
        self._do("mute", stem=stem, muted=on)

    def do_solo(self, stem: str, on: bool | None = None) -> None:
        """Solo a stem, or no longer."""
        self._do("solo", stem=stem, soloed=on)

    def do_fade(self, stem: str, seconds: float, gain: float | None = None) -> None:
        """Fade a stem out, or in again."""
        self._do("fade", stem=stem, seconds=seconds)

    def do_bypass(self, on: bool | None = None) -> None:
        """Hear every stem as it is, or the mix."""
        if on is None or on is not self._session.state()["bypass"]:
            self._do("bypass")

    def do_play(self, on: bool | None = None) -> None:
        """Play on, or stand still."""
        self._do("toggle" if on is None else "play" if on else "pause")

    def do_seek(self, position_s: float) -> None:
        """Go on from there."""
        self._do("seek", position_s=position_s)

    def do_skip(self, seconds: float) -> None:
        """Go on later, or earlier."""
        self._do("skip", seconds=seconds)

    def do_loop(self, start_s: float, end_s: float) -> None:
        """Play this again and again."""
        self._do("set_loop", begin_s=start_s, end_s=end_s)

    def do_mark_loop(self) -> None:
        """Begin a loop, end it, or play on."""
        self._do("mark_loop")

    def do_unloop(self) -> None:
        """Play on beyond the loop."""
        self._do("clear_loop")

    def do_tempo(self, percent: float) -> None:
        """Set the tempo."""
        self._do("set_tempo", percent=percent)

    def do_key(self, semitones: int) -> None:
        """Set the key."""
        self._do("set_key", semitones=semitones)

    def do_tuning(self, cents: float) -> None:
        """Set the tuning."""
        self._do("set_tuning", cents=cents)

    def do_count_in(self, beats: int, bpm: float | None = None) -> None:
        """Count in."""
        self._do("set_count_in", beats=beats, bpm=bpm)

    def do_song(self, number: int) -> None:
        """Play one of the songs that were opened."""
        self._do("go_to_song", index=number - 1)

    def state(self) -> dict[str, Any]:
        """As docs/control.md has it."""
        told = self._session.state()
        return {
            **{name: told[name] for name in ("stems", "mix_dbfs", "bypass")},
            "gain_range_db": [LOWEST_TRIM_DB, HIGHEST_TRIM_DB],
            "stream": {"xruns": told["xruns"]},
            "transport": {
                **{name: told[name] for name in _TRANSPORT if name in told},
                "song_number": told["song_index"] + 1,
                "songs": len(told["songs"]),
            },
        }

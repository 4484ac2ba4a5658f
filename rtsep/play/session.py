"""Songs one after the other, with all that is remembered of them: the room's entrance.

`command` and `state` are for keys and for a control protocol, from any thread. Songs are opened and
closed by the main thread, in `tick`, since that takes a while.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import RtsepError, UsageError
from rtsep.play.checks import whole
from rtsep.play.deck import Deck
from rtsep.play.rendering import Rendering
from rtsep.play.separation_ahead import SeparationAhead
from rtsep.play.song import Song
from rtsep.play.song_mixer import SongMixer
from rtsep.play.song_settings import SongSettings, load_settings, save_settings
from rtsep.play.wishes import Wishes, settings_for

# The next song is opened when the stems of this one are done, or it ends so soon.
_OPEN_NEXT_S = 20.0

# What `PlaySession.command` takes: names of methods, by the part that has them.
DECK, MIXER, SESSION = "deck", "mixer", "session"
COMMANDS = {
    **dict.fromkeys(("play", "pause", "toggle", "seek", "skip"), DECK),
    **dict.fromkeys(("set_loop", "clear_loop", "mark_loop"), DECK),
    **dict.fromkeys(("set_tempo", "set_key", "set_tuning", "set_count_in"), DECK),
    **dict.fromkeys(("set_gain_db", "trim", "mute", "solo", "fade", "bypass", "select"), MIXER),
    **dict.fromkeys(("go_to_song", "next_song", "previous_song"), SESSION),
}


@dataclass(frozen=True)
class _Opened:
    """A song that is open, its place in the list, and how it is to be played."""

    index: int
    song: Song
    settings: SongSettings


class PlaySession:
    """Plays songs. `command` and `state` are for any thread, all else for the main thread.

    Parameters
    ----------
    paths : sequence of Path
        The songs.
    open_song : callable
        Opens one of them; raises RtsepError.
    stems : sequence of str
        Of every song.
    ahead : SeparationAhead
        Started and ended by whoever made it.
    rate : int
        Of the device, which runs `deck.player.process`.
    wishes : Wishes
    settings_folder : Path or None
        Where settings are remembered; None to remember nothing.
    say : callable
        Is told, in a line, of a song that cannot be played.

    Attributes
    ----------
    mixer : SongMixer
    deck : Deck
    finished : bool
        Whether the last song is over.
    xruns : int
        How often the device lacked sound. Writer: audio thread.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        open_song: Callable[[Path], Song],
        stems: Sequence[str],
        ahead: SeparationAhead,
        rate: int,
        *,
        wishes: Wishes | None = None,
        settings_folder: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ):
        self.paths, self._open_song, self._ahead = list(paths), open_song, ahead
        self._wishes = wishes or Wishes()
        self._settings_folder, self._say = settings_folder, say
        self.mixer = SongMixer(stems)
        self.deck = Deck(self.mixer, rate, self._next_rendering)
        self.finished, self.xruns = False, 0
        self._index = -1
        # Writer: main thread; reader: rendering thread, which begins it when the song ends.
        self._upcoming: _Opened | None = None
        # Writer: whoever commands; the main thread goes there.
        self._wanted_index: int | None = None
        # Songs that nobody reads any more. Writer: rendering thread, `append`; the main thread closes.
        self._left: deque[Song] = deque()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Open the first song and begin to render it. Raises RtsepError where none can be played."""
        opened = self.open_first()
        self.deck.player.start()
        loop, start_s = opened.settings.loop, self._wishes.start_s
        start = loop[0] if loop is not None and not start_s else round(start_s * SAMPLE_RATE)
        self.deck.restart(opened.song, min(start, opened.song.length))

    def open_first(self) -> _Opened:
        """Open the first song, and no more, as for a file. Raises as `start` does."""
        opened = self._open(0)
        if opened is None:
            raise RtsepError("none of the songs can be played: name others")
        self._take(opened)
        return opened

    def tick(self, now_s: float) -> None:
        """Move faders, open and close songs; `now_s` of the monotonic clock, some 20 times a second.

        Raises RtsepError where something has failed.
        """
        self._ahead.check()
        self.deck.player.check()
        if self.deck.song is not None:
            self.deck.song.check()
            for remark in self.deck.song.take_remarks():
                self._say(remark)
        self.mixer.tick(now_s)
        if self._wanted_index is not None:
            self._go_to_wanted()
        self._follow_player()
        while self._left:
            self._left.popleft().close()
        self._open_upcoming()
        if self.deck.player.over and self._upcoming is None:
            self.finished = self._index + 1 >= len(self.paths)

    def close(self) -> None:
        """Remember the settings and close the songs; the device must have been closed."""
        self.deck.player.close()
        self._ahead.set_songs(())
        self._remember()
        upcoming = self._upcoming
        for song in (*self._left, self.deck.song, upcoming.song if upcoming else None):
            if song is not None:
                song.close()

    def command(self, name: str, **arguments: Any) -> None:
        """Do what a person asks for.

        Parameters
        ----------
        name : str
            One of COMMANDS: a method of the session, of `deck` or of `mixer`.
        **arguments
            Those of the method.

        Raises
        ------
        UsageError
            For an unknown name, and for arguments that are impossible.
        """
        if name not in COMMANDS:
            raise UsageError(f"there is no command {name!r}: use one of {', '.join(COMMANDS)}")
        part: object = {DECK: self.deck, MIXER: self.mixer, SESSION: self}[COMMANDS[name]]
        try:
            getattr(part, name)(**arguments)
        except TypeError as error:
            raise UsageError(f"{name} does not take {arguments}: {error}") from None
        if part is self.mixer:
            self.deck.hear_mix_soon()

    def state(self) -> dict[str, Any]:
        """All that a display or a remote control shows; of plain values that JSON knows."""
        levels = self.deck.levels.dbfs()
        return {
            "songs": [path.name for path in self.paths],
            "song_index": self._index,
            **self.deck.state(),
            "stems": [{**stem, "level_dbfs": levels[stem["name"]]} for stem in self.mixer.state()],
            "selected": self.mixer.selected,
            "bypass": self.mixer.mix.bypass,
            "mix_dbfs": levels["mix"],
            "separation_times_real_time": self._ahead.times_real_time,
            "underruns": self.deck.player.underruns,
            "xruns": self.xruns,
        }

    def go_to_song(self, index: int) -> None:
        """Play another song, counted from 0."""
        wanted = whole("index", index)
        if not 0 <= wanted < len(self.paths):
            raise UsageError(f"there are songs 0 to {len(self.paths) - 1}: got {wanted}")
        self._wanted_index = wanted

    def next_song(self) -> None:
        """Play the next song, if there is one."""
        if self._index + 1 < len(self.paths):
            self._wanted_index = self._index + 1

    def previous_song(self) -> None:
        """Play the song before, if there is one."""
        if self._index > 0:
            self._wanted_index = self._index - 1

    def _open(self, index: int) -> _Opened | None:
        """Open the song `index`, or the next one that can be played; None if there is none."""
        for number in range(index, len(self.paths)):
            try:
                song = self._open_song(self.paths[number])
            except RtsepError as error:
                if len(self.paths) == 1:
                    raise
                self._say(f"warning: {error}; left out")
                continue
            return _Opened(number, song, self._settings_of(song))
        return None

    def _settings_of(self, song: Song) -> SongSettings:
        known = None
        if self._settings_folder is not None:
            known = load_settings(self._settings_folder, song.content)
        first = self.deck.song is None
        return settings_for(song, self._wishes, known, self.deck.settings, first=first)

    def _go_to_wanted(self) -> None:
        """Go to the song that is wanted, at once."""
        with self._lock:  # from now on the upcoming song does not begin by itself
            upcoming, self._upcoming = self._upcoming, None
            index, self._wanted_index = self._wanted_index or 0, None
        opened = upcoming if upcoming is not None and upcoming.index == index else None
        opened = opened or self._open(index)
        if opened is None:
            self._ahead.set_songs([song for song in (self.deck.song,) if song is not None])
        else:
            self._take(opened)
            self.deck.restart(opened.song, opened.settings.loop[0] if opened.settings.loop else 0)
        if upcoming is not None and upcoming is not opened:
            self._leave(upcoming.song)

    def _take(self, opened: _Opened) -> None:
        """Make it the song; the one before is closed when nobody reads it any more."""
        self._remember()
        before = self.deck.take(opened.song, opened.settings)
        self._index = opened.index
        self._ahead.set_songs([opened.song])
        if before is not None:
            self._leave(before)

    def _leave(self, song: Song) -> None:
        # When the rendering thread comes to this, it has gone over to another one.
        self.deck.player.on_rendering_thread(lambda: self._left.append(song))

    def _open_upcoming(self) -> None:
        song = self.deck.song
        if song is None or self._upcoming is not None or self._index + 1 >= len(self.paths):
            return
        left_s = song.duration_s - self.deck.position(song) / SAMPLE_RATE
        if song.store.is_complete or left_s < _OPEN_NEXT_S:
            opened = self._open(self._index + 1)
            if opened is None:
                del self.paths[self._index + 1 :]  # none of them can be played
                return
            self._ahead.set_songs([song, opened.song])
            self._upcoming = opened

    def _next_rendering(self) -> Rendering | None:
        """What follows the song without a gap; for the rendering thread."""
        with self._lock:
            upcoming = self._upcoming
            if upcoming is None or self._wanted_index is not None:
                return None
            self.mixer.take(upcoming.settings.stems)
            return self.deck.rendering(upcoming.song, upcoming.settings)

    def _follow_player(self) -> None:
        """Make the upcoming song the one, when it has begun."""
        player, upcoming = self.deck.player, self._upcoming
        if upcoming is not None and player.feed and player.heard()[0].song is upcoming.song:
            self._upcoming = None
            self._take(upcoming)

    def _remember(self) -> None:
        song, deck = self.deck.song, self.deck
        if (
            song is None
            or self._settings_folder is None
            or not (deck.changed or self.mixer.changed)
        ):
            return
        settings = replace(deck.settings, stems=self.mixer.settings())
        save_settings(self._settings_folder, song.content, settings)

"""The song that is heard: where it is, how fast, and in which loop; and the commands that change it.

Commands come from any thread: keys, a control protocol. They check what they are given, and leave to the
rendering thread what it alone may change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from rtsep.constants import SAMPLE_RATE
from rtsep.errors import UsageError
from rtsep.play.checks import check_number, whole
from rtsep.play.count_in import CountIn
from rtsep.play.librubberband import librubberband
from rtsep.play.player import Player
from rtsep.play.rendering import Rendering
from rtsep.play.song import Song
from rtsep.play.song_mixer import SongMixer
from rtsep.play.song_settings import SongSettings
from rtsep.play.speed import Speed
from rtsep.play.stem_mix import StemLevels, StemMix
from rtsep.play.transport import Loop, Transport

# What a loop's end may lie behind the song's, whose length is known roughly at first.
_BEHIND_END_S = 0.5
# Between two changes of the mix that each get a new stretcher.
_RENEWAL_S = 0.25


class Deck:
    """Plays one song after the other. Commands: any thread.

    Parameters
    ----------
    mixer : SongMixer
    rate : int
        Of the device, which runs `player.process`.
    on_end : callable
        See Player.

    Attributes
    ----------
    song : Song or None
        Writer: the main thread, `take`.
    settings : SongSettings
        Of the song, but for the stems, which the mixer has.
    loop_mark : int or None
        The sample at which a loop was begun that has no end yet.
    changed : bool
        Whether a command has changed the settings since `take`.
    """

    def __init__(self, mixer: SongMixer, rate: int, on_end: Callable[[], Rendering | None]):
        self.mixer, self.levels = mixer, StemLevels(mixer.stems)
        self.player = Player(rate, on_end)
        self.song: Song | None = None
        self.settings = SongSettings()
        self.loop_mark: int | None = None
        self.changed = False
        self._next_renewal_s = 0.0
        # Held by commands and by whoever changes what they depend on; never for long.
        self.lock = threading.RLock()

    def take(self, song: Song, settings: SongSettings) -> Song | None:
        """Make it the song; return the one before, which is still read until `restart` is done."""
        with self.lock:
            before, self.song, self.settings = self.song, song, settings
            self.loop_mark, self.changed = None, False
        self.mixer.take(settings.stems)
        return before

    def rendering(self, song: Song, settings: SongSettings, position: int = 0) -> Rendering:
        """What is heard of a song with these settings; for the rendering thread."""
        return Rendering(self._mix(song, settings, position), settings.speed, self.player.rate)

    # --- commands: transport ----------------------------------------------------------------------

    def play(self) -> None:
        """Play on; after the count-in, if there is one."""
        with self.lock:
            song, settings, player = self._current(), self.settings, self.player
            position = 0 if player.over else self.position(song)
            if player.playing or not settings.count_in.beats:
                if player.over:
                    self.restart(song, position)
                player.playing = True
                return
            clicks = settings.count_in.clicks(player.rate, settings.speed.tempo_percent)

            def count_in() -> None:
                mix = self._mix(song, settings, position)
                player.offer(Rendering(mix, settings.speed, player.rate, clicks))
                player.playing = True

            player.on_rendering_thread(count_in)

    def pause(self) -> None:
        """Stand still."""
        self.player.playing = False

    def toggle(self) -> None:
        """Play on, or stand still."""
        self.pause() if self.player.playing else self.play()

    def seek(self, position_s: float) -> None:
        """Go on at another place; beyond the ends of the song, at its ends."""
        check_number("position_s", position_s)
        with self.lock:
            song = self._current()
            position = round(min(max(0.0, position_s), song.duration_s) * SAMPLE_RATE)
            self.restart(song, position)

    def skip(self, seconds: float) -> None:
        """Go on so many seconds later, or earlier."""
        check_number("seconds", seconds)
        with self.lock:
            self.seek(self.position(self._current()) / SAMPLE_RATE + seconds)

    def set_loop(self, begin_s: float, end_s: float) -> None:
        """Play from `begin_s` to `end_s`, in seconds, again and again.

        Raises UsageError where the end does not come after the beginning, or lies behind the song's.
        """
        check_number("begin_s", begin_s)
        check_number("end_s", end_s)
        with self.lock:
            song = self._current()
            self._set_loop(song, loop_within(song, begin_s, end_s))

    def clear_loop(self) -> None:
        """Play on beyond the loop's end."""
        with self.lock:
            self._set_loop(self._current(), None)

    def mark_loop(self) -> None:
        """Begin a loop here; the second time end it here; the third time play on beyond it."""
        with self.lock:
            song = self._current()
            position = self.position(song)
            if self.settings.loop is not None:
                self.clear_loop()
            elif self.loop_mark is None:
                self.loop_mark = position
            else:
                begin, end = sorted((self.loop_mark, position))
                self.loop_mark = None
                self._set_loop(song, Loop(begin, end))

    # --- commands: tempo, key, count-in -------------------------------------------------------------

    def set_tempo(self, percent: float) -> None:
        """Set the tempo, SLOWEST_PERCENT to FASTEST_PERCENT; raises UsageError beyond."""
        self._set_speed(tempo_percent=check_number("percent", percent))

    def set_key(self, semitones: int) -> None:
        """Set the key, up to MOST_SEMITONES up or down; raises UsageError beyond."""
        self._set_speed(key_semitones=whole("semitones", semitones))

    def set_tuning(self, cents: float) -> None:
        """Set the tuning, up to MOST_CENTS up or down; raises UsageError beyond."""
        self._set_speed(tuning_cents=check_number("cents", cents))

    def set_count_in(self, beats: int, bpm: float | None = None) -> None:
        """Count so many beats before the sound begins; bpm: of the song, as before for None."""
        with self.lock:
            before = self.settings.count_in
            count_in = CountIn(
                whole("beats", beats), before.bpm if bpm is None else check_number("bpm", bpm)
            )
            self._change(count_in=count_in)

    def hear_mix_soon(self) -> None:
        """After a change of the mix: where a stretcher holds sound back, go over to a new one.

        Else the change would be heard behind all that the stretcher holds, 60 ms at 80 %. While many
        changes come, as of a fader that is moved, they take that way.
        """
        now_s = time.monotonic()
        if now_s < self._next_renewal_s or self.settings.speed.is_plain:
            return
        self._next_renewal_s = now_s + _RENEWAL_S

        def renew() -> None:
            feed = self.player.feed
            if feed is not None and not feed.starved and not feed.rendering.speed.is_plain:
                speed = feed.rendering.speed
                self.player.go_on_with(partial(self._at_other_speed, speed))

        self.player.on_rendering_thread(renew)

    # --- state --------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Song, position, tempo, key and loop, of values that JSON knows."""
        with self.lock:
            song, settings, feed = self.song, self.settings, self.player.feed
            loop, mark = settings.loop, self.loop_mark
            return {
                "song": None if song is None else song.title,
                "playing": self.player.playing,
                "waiting": feed is None or feed.starved,
                "position_s": 0.0 if song is None else self.position(song) / SAMPLE_RATE,
                "duration_s": 0.0 if song is None else song.duration_s,
                "done_s": [] if song is None else song.done_s(),
                "loop_s": None if loop is None else [at / SAMPLE_RATE for at in loop],
                "loop_mark_s": None if mark is None else mark / SAMPLE_RATE,
                "tempo_percent": settings.speed.tempo_percent,
                "key_semitones": settings.speed.key_semitones,
                "tuning_cents": settings.speed.tuning_cents,
                "count_in_beats": settings.count_in.beats,
                "count_in_bpm": settings.count_in.bpm,
            }

    # --- what the commands share --------------------------------------------------------------------

    def _current(self) -> Song:
        if self.song is None:
            raise UsageError("no song is open: wait until one is")
        return self.song

    def position(self, song: Song) -> int:
        """The sample of the song that is heard next."""
        if self.player.feed is not None:
            rendering, position = self.player.heard()
            if rendering.song is song:
                return min(round(position), song.length)
        return song.head

    def restart(self, song: Song, position: int) -> None:
        """Go on at a sample of a song."""
        song.head = position  # so that its stems come first
        self.player.on_rendering_thread(
            lambda: self.player.offer(self.rendering(song, self.settings, position))
        )

    def _mix(
        self, song: Song, settings: SongSettings, position: int, *, wrapped: bool = False
    ) -> StemMix:
        loop = None if settings.loop is None else Loop(*settings.loop)
        transport = Transport(position, loop, wrapped)
        return StemMix(song, transport, self.mixer.mix, self.levels)

    def _set_loop(self, song: Song, loop: Loop | None) -> None:
        self._change(loop=None if loop is None else (loop.begin, loop.end))

        def set_loop() -> None:
            feed = self.player.feed
            if feed is None or feed.rendering.song is not song:
                return
            transport = feed.rendering.mix.transport
            if loop is not None and transport.position >= loop.end:
                self.restart(song, loop.begin)
            else:
                feed.rendering.mix.set_loop(loop)

        self.player.on_rendering_thread(set_loop)

    def _set_speed(self, **changed: float) -> None:
        with self.lock:
            speed = replace(self.settings.speed, **changed)  # type: ignore[arg-type]
            if not speed.is_plain:
                librubberband()  # or it says here that it is missing
            self._change(speed=speed)

        def set_speed() -> None:
            feed = self.player.feed
            if feed is not None and not feed.rendering.change_speed(speed):
                self.player.go_on_with(partial(self._at_other_speed, speed))

        self.player.on_rendering_thread(set_speed)

    def _at_other_speed(self, speed: Speed, old: Rendering, position: int) -> Rendering:
        wrapped = old.mix.transport.wrapped
        mix = self._mix(old.song, self.settings, position, wrapped=wrapped)
        return Rendering(mix, speed, self.player.rate)

    def _change(self, **changed: Any) -> None:
        self.settings = replace(self.settings, **changed)
        self.changed = True


def loop_within(song: Song, begin_s: float, end_s: float) -> Loop:
    """The loop between these seconds; raises UsageError where it does not lie within the song."""
    if end_s > song.duration_s + _BEHIND_END_S:
        raise UsageError(
            f"the loop must end within the song, which has {song.duration_s:.2f} s: got {end_s:.2f} s"
        )
    end = min(round(end_s * SAMPLE_RATE), song.length)
    return Loop(round(begin_s * SAMPLE_RATE), end)

"""What a command line asks for, beside what is remembered of a song and what is set now."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtsep.play.count_in import CountIn
from rtsep.play.deck import loop_within
from rtsep.play.song import Song
from rtsep.play.song_settings import SongSettings, StemSetting
from rtsep.play.speed import Speed


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for; it goes before what is remembered.

    stems: by name.  speed, count_in: None for what is remembered.  loop_s, start_s: of the first song.
    """

    stems: dict[str, StemSetting] = field(default_factory=dict)
    speed: Speed | None = None
    count_in: CountIn | None = None
    loop_s: tuple[float, float] | None = None
    start_s: float = 0.0


def settings_for(
    song: Song, wishes: Wishes, known: SongSettings | None, now: SongSettings, *, first: bool
) -> SongSettings:
    """How a song is to be played.

    Parameters
    ----------
    song : Song
    wishes : Wishes
    known : SongSettings, optional
        What is remembered of the song.
    now : SongSettings
        Those of the song before, of which the count-in stays; stems that are not named stay, too.
    first : bool
        Whether the command line speaks of this song's stems and loop.

    Raises
    ------
    UsageError
        Where the loop that was asked for does not lie within the song.
    """
    stems = {} if known is None else known.stems
    loop = None if known is None else known.loop
    if first:
        stems = {**stems, **wishes.stems}
        if wishes.loop_s is not None:
            asked = loop_within(song, *wishes.loop_s)
            loop = asked.begin, asked.end
    return SongSettings(
        stems=stems,
        speed=wishes.speed or (Speed() if known is None else known.speed),
        loop=loop,
        count_in=wishes.count_in or (now if known is None else known).count_in,
    )

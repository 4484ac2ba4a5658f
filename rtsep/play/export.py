"""What is heard of a song, written to a file: mix, tempo, key, and of a loop one pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.files.formats import format_of
from rtsep.files.writer import StemWriter
from rtsep.live.mixer import MixSettings
from rtsep.play.rendering import Rendering
from rtsep.play.separation_ahead import SeparationAhead
from rtsep.play.song import Song
from rtsep.play.speed import Speed
from rtsep.play.stem_mix import StemLevels, StemMix
from rtsep.play.transport import Transport

_LOOK_S = 0.05


def export(
    song: Song,
    ahead: SeparationAhead,
    mix: MixSettings,
    speed: Speed,
    region: tuple[int, int] | None,
    target: Path,
    on_progress: Callable[[float, float | None], None] = lambda done_s, expected_s: None,
) -> float:
    """Write what is heard to `target`, in the format of its extension, at 44.1 kHz.

    Parameters
    ----------
    song : Song
        Its stems are waited for.
    ahead : SeparationAhead
        At work on the song.
    mix : MixSettings
        Gains by stem.
    speed : Speed
        Tempo and key.
    region : (int, int), optional
        The samples of the song to take; None for all.
    target : Path
    on_progress : callable
        Called with the seconds of the song that are done, and those expected in all.

    Returns
    -------
    float
        Seconds of sound in the file.

    Raises
    ------
    UsageError
        For an extension that no format has.
    RtsepError
        Where the song cannot be separated, or the file not be written.
    """
    output = format_of(target)
    begin = 0 if region is None else region[0]
    song.head = begin
    while song.store.length is None or not song.store.done.contains(begin, _end(song, region)):
        ahead.check()
        song.check()
        on_progress(song.store.done.end_of_run(begin) / SAMPLE_RATE, song.duration_s)
        time.sleep(_LOOK_S)
    end = _end(song, region)
    levels = StemLevels(song.store.stems)
    source = StemMix(song, Transport(begin), mix, levels, patient=True, end=end)
    rendering = Rendering(source, speed, SAMPLE_RATE)
    wanted = round((end - begin) * speed.time_ratio)
    written = 0
    with StemWriter(target, SAMPLE_RATE, NET_CHANNELS, output, None, wanted) as writer:
        while not rendering.ended:
            block = rendering.next_block()
            assert block is not None, "the region is done"
            # Rubber Band gives some samples more or less than the length asked for.
            block = block[: wanted - written]
            writer.write(np.ascontiguousarray(block))
            written += len(block)
        writer.write(np.zeros((wanted - written, NET_CHANNELS), np.float32))
        writer.commit()
    return wanted / SAMPLE_RATE


def _end(song: Song, region: tuple[int, int] | None) -> int:
    return song.length if region is None else min(region[1], song.length)

"""Meters: how loud each stem of a song is, second by second.

python examples/meters.py song.mp3
"""

import sys

import rtsep

QUIETEST_DBFS = -60


def main(song: str) -> None:
    """Print a line of bars for every second of `song`."""
    with (
        rtsep.AudioReader(song) as reader,
        rtsep.LiveSeparator(
            "spleeter:2stems",
            masking="ratio",
            sample_rate=reader.sample_rate,
            channels=reader.channels,
            paced=False,  # nobody listens: as fast as it goes
        ) as live,
    ):
        for second, block in enumerate(reader.blocks(reader.sample_rate)):
            live.process(block)
            levels = live.levels_dbfs()
            bars = {stem: bar(levels[stem]) for stem in live.stems}
            print(f"{second:4} s  " + "  ".join(f"{stem} {bar}" for stem, bar in bars.items()))


def bar(level_dbfs: float) -> str:
    """Twenty characters, of which as many are full as the level is above QUIETEST_DBFS."""
    full = round(20 * min(1.0, max(0.0, 1 - level_dbfs / QUIETEST_DBFS)))
    return "#" * full + "-" * (20 - full)


if __name__ == "__main__":
    main(*sys.argv[1:])

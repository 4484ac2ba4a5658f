"""Which songs plans are tuned on, and which they are reported on: song_split.json, by title.

A plan that was chosen for how well it does on some songs does worse on others, so figures that are
stated come from songs that nothing was chosen by. Versions at other speeds belong to their song.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from rtsep.files.song_files import SongFiles

TUNED, REPORTED = "tuned", "reported"
_FILE = Path(__file__).with_name("song_split.json")


def titles(part: str) -> frozenset[str]:
    """The songs of `part`, TUNED or REPORTED."""
    return frozenset(json.loads(_FILE.read_text(encoding="utf-8"))[part])


def only(songs: Iterable[SongFiles], part: str) -> list[SongFiles]:
    """Those of the songs that belong to `part`. A song that the file does not name is in none."""
    wanted = titles(part)
    return [song for song in songs if song.name in wanted]


def describe(title_list: Iterable[str]) -> str:
    """How many of these songs plans were tuned on, as a clause for a report."""
    names = set(title_list)
    tuned = names & titles(TUNED)
    if not tuned:
        return "plans were tuned on none of them"
    if tuned == names:
        return "plans were tuned on them" if len(names) > 1 else "plans were tuned on it"
    return f"plans were tuned on {len(tuned)} of them ({', '.join(sorted(tuned))})"

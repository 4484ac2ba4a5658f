"""Reads damaged sound files of one kind: `python -m tests.fuzz.audio_child KIND COUNT FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from rtsep.errors import AudioFileError
from rtsep.files.reader import AudioReader
from rtsep.files.source import HIGHEST_RATE, LOWEST_RATE
from tests.fuzz.children import Case, try_all
from tests.fuzz.mutations import mutations
from tests.fuzz.oracle import play
from tests.fuzz.small_sounds import SOUNDS

BLOCK_SAMPLES = 65_536
TOLERANCE = 1e-4


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    """All samples that the reader gives, (samples, channels) float32, and its remarks."""
    with AudioReader(path) as reader:
        blocks = list(reader.blocks(BLOCK_SAMPLES))
        return np.concatenate(blocks), [str(remark) for remark in reader.remarks]


def judge(path: Path) -> str:
    """Read a file; raises AssertionError where something is lost or changed in silence."""
    try:
        found, remarks = read(path)
    except AudioFileError as error:
        assert "\n" not in str(error)
        played = play(path)
        if not played.pieces:
            return "refused, FFmpeg plays nothing either"
        if "no known arrangement" in str(error):
            return "refused, channels that no sound has"
        rate = played.pieces[0][0]
        known = LOWEST_RATE <= rate <= HIGHEST_RATE
        assert not known, f"refused, FFmpeg plays {played.samples:.0f} samples: {error}"
        assert f" {rate} Hz" in str(error)
        return "refused for its sample rate"
    assert found.dtype == np.float32 and found.shape[1] in (1, 2) and np.isfinite(found).all()
    if remarks:
        assert all("\n" not in remark for remark in remarks)
        return "read, with a remark"
    played = play(path)
    if not played.pieces:
        return "read by libsndfile, FFmpeg plays nothing"
    changes = len(played.pieces) if played.whole is None else 1
    assert abs(len(found) - played.samples) <= changes, (
        f"{len(found)} samples read, FFmpeg plays {played.samples:.0f}"
    )
    if played.whole is None or played.whole.shape[1] > 2:
        return "read in silence, of equal length"  # mixed down or converted on the way
    length = min(len(found), len(played.whole))
    worst = float(np.abs(found[:length] - played.whole[:length]).max())
    assert worst <= TOLERANCE, f"up to {worst:.2g} from what FFmpeg plays"
    return "read in silence, equal"


def cases(kind: str, count: int, folder: Path) -> Iterator[Case]:
    """The file as it is, then its mutations."""
    name, write = SOUNDS[kind]
    path = folder / name
    write(path)
    yield f"{kind}, intact", lambda: "intact: " + judge(path)
    content = path.read_bytes()
    for mutation in mutations(content, count, list(SOUNDS).index(kind)):

        def attempt(damaged: bytes = mutation.content) -> str:
            path.write_bytes(damaged)
            return judge(path)

        yield f"{kind}, {mutation.what}", attempt


def main(read_cases: Callable[[str, int, Path], Iterator[Case]] = cases) -> None:
    """Try the mutations of one kind."""
    av.logging.set_level(None)
    try_all(read_cases(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))


if __name__ == "__main__":
    main()

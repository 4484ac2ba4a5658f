"""The stems of one song, as far as they are done, in a folder that the next run finds again.

HASH/stems.pcm    all stems side by side (pcm_file.py)
HASH/index.json   stems, length, which samples are done
HASH/lock         held by the process that has it open
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.channels import NET_CHANNELS
from rtsep.play.done_ranges import DoneRanges
from rtsep.play.pcm_file import PcmFile

INDEX, SOUND, LOCK = "index.json", "stems.pcm", "lock"
# Where pieces meet, one fades into the other, 12 ms.
JOIN_SAMPLES = 512
# Of the files; others are made anew.
_FORM = 1


class StemStore:
    """Stems on disk. Writer: the thread that separates. Readers: any thread.

    Parameters
    ----------
    folder : Path
        Must exist.
    stems : sequence of str
        In the order of the file.
    keep : bool
        Whether the next run shall find it; else the folder is removed by `close`.

    Attributes
    ----------
    done : DoneRanges
        Which samples can be read.
    length : int or None
        Samples of the song, once the whole song has been decoded.

    Raises
    ------
    OSError
        Where the folder cannot be written.
    """

    def __init__(self, folder: Path, stems: Sequence[str], *, keep: bool = True):
        self.folder, self.stems, self.keep = folder, tuple(stems), keep
        self.length, self.done = self._read_index()
        self._file = PcmFile(folder / SOUND, NET_CHANNELS * len(self.stems))

    @property
    def sound_path(self) -> Path:
        """The file of the stems, see PcmFile."""
        return self._file.path

    @property
    def is_complete(self) -> bool:
        """Whether the whole song is done."""
        return self.length is not None and self.done.contains(0, self.length)

    def read(self, begin: int, count: int) -> NDArray[np.float32]:
        """The samples [begin, begin + count), (samples, stems, 2) float32; zeros where none are."""
        return self._file.read(begin, count).reshape(count, len(self.stems), NET_CHANNELS)

    def join(self, begin: int, block: NDArray[np.float32]) -> None:
        """Put a piece into its place; what is done already stays, but for fades at the edges.

        Parameters
        ----------
        begin : int
            Sample of the song that the block begins with.
        block : (samples, stems, 2) float32
            With one part at most that is not done yet. It may begin up to JOIN_SAMPLES before that and
            end as much behind it.
        """
        end = begin + len(block)
        gap = self.done.first_gap(begin, end)
        if gap is None:
            return
        write_joined(self._file, begin, block, gap)
        self.done.add(begin, end)

    def write_index(self) -> None:
        """Let the next run know what is done."""
        content = {
            "form": _FORM, "stems": self.stems, "length": self.length, "done": self.done.ranges,
        }  # fmt: skip
        temporary = self.folder / f"{INDEX}.tmp"
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        os.replace(temporary, self.folder / INDEX)

    def close(self) -> None:
        """Close it, and remove it if it is not to be kept."""
        if self.keep:
            with contextlib.suppress(OSError):  # a cache: the next run does it again
                self.write_index()
        self._file.close()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read_index(self) -> tuple[int | None, DoneRanges]:
        """What an earlier run has left; nothing where that is of another form or damaged."""
        try:
            content: Any = json.loads((self.folder / INDEX).read_text(encoding="utf-8"))
            if content["form"] == _FORM and tuple(content["stems"]) == self.stems:
                done = DoneRanges((int(begin), int(end)) for begin, end in content["done"])
                length = content["length"]
                reaches = max([0, *(end for _, end in done.ranges)])
                needed_bytes = reaches * 2 * NET_CHANNELS * len(self.stems)
                if (self.folder / SOUND).stat().st_size >= needed_bytes:
                    return None if length is None else int(length), done
        except (OSError, ValueError, KeyError, TypeError):
            pass
        with contextlib.suppress(OSError):
            (self.folder / SOUND).unlink(missing_ok=True)
        return None, DoneRanges()


def write_joined(
    file: PcmFile, begin: int, block: NDArray[np.float32], gap: tuple[int, int]
) -> None:
    """Write (samples, stems, 2) at `begin`; outside `gap`, the part not done yet, it fades."""
    block = block.copy()
    lead, trail = gap[0] - begin, begin + len(block) - gap[1]
    if lead > 0:
        rise = _ramp(lead)
        known = file.read(begin, lead).reshape(block[:lead].shape)
        block[:lead] = rise * block[:lead] + (1 - rise) * known
    if trail > 0:
        rise = _ramp(trail)
        known = file.read(gap[1], trail).reshape(block[-trail:].shape)
        block[-trail:] = (1 - rise) * block[-trail:] + rise * known
    file.write(begin, block.reshape(len(block), -1))


def _ramp(count: int) -> NDArray[np.float32]:
    """From 0 to 1 within `count` samples, (samples, 1, 1)."""
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)
    return rise.astype(np.float32)[:, np.newaxis, np.newaxis]

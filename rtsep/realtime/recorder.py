"""Recording the stems while they play: a ring that the audio thread fills and a thread empties."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.writer import StemWriter
from rtsep.errors import AudioFileError
from rtsep.models.registry import SAMPLE_RATE

# What a disk may stall for.
RING_S = 8
POLL_S = 0.1


class Recorder:
    """Writes every stem of an engine with separate stems to `folder`/STEM.wav, float32, 44.1 kHz.

    When a file cannot be written (disk full), recording ends with `failure` set; the sound goes on.
    """

    def __init__(self, folder: Path, stems: tuple[str, ...]):
        self.failure: AudioFileError | None = None
        self.lost_samples = 0
        self.paths = [folder / f"{stem}.wav" for stem in stems]
        self._writers = [StemWriter(path, SAMPLE_RATE, 2, "wav", "float") for path in self.paths]
        # writer: audio thread; reader: the recorder's thread. (samples, 2 channels per stem)
        self._ring = np.zeros((RING_S * SAMPLE_RATE, 2 * len(stems)), np.float32)
        self._written = 0  # by the audio thread, samples since the start
        self._saved = 0  # by the recorder's thread
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rtsep recorder", daemon=True)
        self._thread.start()

    def push(self, block: NDArray[np.float32], wait: bool = False) -> None:
        """Take the engine's output, (samples, mix and stems) float32.

        wait: wait for room where the disk is behind. An audio thread never does: it loses samples,
        which are counted.
        """
        count, length = len(block), len(self._ring)
        while wait and self.failure is None and self._written + count - self._saved > length:
            time.sleep(POLL_S / 10)
        if self.failure is not None:
            return
        if self._written + count - self._saved > length:
            self.lost_samples += count
            return
        at = self._written % length
        first = min(count, length - at)
        self._ring[at : at + first] = block[:first, 2:]
        self._ring[: count - first] = block[first:, 2:]
        self._written += count

    def close(self) -> None:
        """Write the rest and give the files their names."""
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            while not self._stopping.wait(POLL_S):
                self._save()
            self._save()
            for writer in self._writers:
                writer.finish()
            for writer in self._writers:
                writer.commit()
        except AudioFileError as error:
            self.failure = error
            for writer in self._writers:
                writer.discard()

    def _save(self) -> None:
        length = len(self._ring)
        while (count := self._written - self._saved) > 0:
            at = self._saved % length
            count = min(count, length - at)
            part = self._ring[at : at + count]
            for stem, writer in enumerate(self._writers):
                writer.write(np.ascontiguousarray(part[:, 2 * stem : 2 * stem + 2]))
            self._saved += count

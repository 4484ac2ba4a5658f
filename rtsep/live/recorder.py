"""Recording the stems while they play: a ring that the audio thread fills and a thread empties."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.ring import Ring
from rtsep.errors import AudioFileError, RtsepError, UsageError
from rtsep.files.recording_file import RecordingFile
from rtsep.system.signals import shielded

# What a disk may stall for.
RING_S = 8
POLL_S = 0.1
# How often the files are made playable up to now: so much is lost if the process is killed.
HEADER_S = 1.0
# The stems take turns: when the disk is full, those after the first lack no more than this.
SAMPLES_PER_WRITE = 2048


def recording_paths(folder: Path, stems: tuple[str, ...]) -> list[Path]:
    """The files that a Recorder makes in `folder`, one per stem."""
    return [folder / f"{stem}.wav" for stem in stems]


class Recorder:
    """Writes every stem of an engine with separate stems to `folder`/STEM.wav, float32, 44.1 kHz.

    Files that are there already are never touched. The new ones have their names from the beginning
    and can be played at any time, up to a second ago; beyond 4 GB they are RF64. When a file cannot be
    written (disk full, folder deleted), recording ends with `failure` set, the files hold what came
    before, all equally long, and the sound goes on.

    Parameters
    ----------
    folder : Path
        Where the files go; it is made if it is not there.
    stems : tuple of str
        Names of the engine's stems, in its order.

    Attributes
    ----------
    failure : RtsepError or None
        Why the recording has ended before its time.
    paths : list of Path
        The files, one per stem.

    Raises
    ------
    UsageError
        Where one of the files is there already.
    AudioFileError
        Where they cannot be made.
    """

    def __init__(self, folder: Path, stems: tuple[str, ...]):
        self.failure: RtsepError | None = None
        self.paths = recording_paths(folder, stems)
        self._made_folders = _missing(folder)
        self._files: list[RecordingFile] = []
        self._make_files(folder)
        # writer: audio thread; reader: the recorder's thread. (samples, 2 channels per stem)
        self._ring = Ring(RING_S * SAMPLE_RATE, 2 * len(stems))
        self._refused = 0  # by the audio thread, samples that came when the ring was full
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rtsep recorder", daemon=True)
        self._thread.start()

    @property
    def lost_samples(self) -> int:
        """Samples per channel that were played and are not in the recording."""
        unsaved = self._ring.waiting if self.failure is not None else 0
        return self._refused + unsaved

    @property
    def recorded_s(self) -> float:
        """Seconds in the files."""
        return self._ring.read / SAMPLE_RATE

    def push(self, block: NDArray[np.float32], wait: bool = False) -> None:
        """Take the engine's output; for one thread at a time, such as the audio thread.

        Parameters
        ----------
        block : ndarray
            (samples, 2 + 2 x stems) float32 at 44.1 kHz: the mix, which is left out, and the stems.
        wait : bool
            Wait for room where the disk is behind. An audio thread never does: it loses samples, which
            are counted.
        """
        count = len(block)
        while wait and self.failure is None and self._ring.room < count:
            time.sleep(POLL_S / 10)
        if self.failure is not None or self._ring.room < count:
            self._refused += count
            return
        self._ring.push(block[:, 2:])

    def close(self) -> None:
        """Write the rest and close the files; those that hold nothing are removed."""
        with shielded():
            self._stopping.set()
            self._thread.join()

    def _make_files(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in self.paths:
                self._files.append(RecordingFile(path, SAMPLE_RATE, 2))
        except OSError as error:
            self._remove_files()
            if isinstance(error, FileExistsError) and path.exists():
                raise already_recorded(path) from None
            raise AudioFileError(f"cannot record to {folder}: {_reason(error)}") from None

    def _remove_files(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):
                file.remove()
        for folder in self._made_folders:
            with contextlib.suppress(OSError):  # not there, or no longer empty
                folder.rmdir()

    # --- the recorder's thread --------------------------------------------------------------------

    def _work(self) -> None:
        try:
            playable_s = time.monotonic()
            while not self._stopping.wait(POLL_S):
                self._save()
                if time.monotonic() >= playable_s + HEADER_S:
                    playable_s = time.monotonic()
                    self._make_playable()
            self._save()
            self._make_playable()
        except Exception as error:
            self._fail(error)
        self._finish()

    def _save(self) -> None:
        while (waiting := self._ring.waiting) > 0:
            part = self._ring.view(self._ring.read, min(waiting, SAMPLES_PER_WRITE))
            for stem, file in enumerate(self._files):
                file.append(part[:, 2 * stem : 2 * stem + 2])
            self._ring.advance(len(part))

    def _make_playable(self) -> None:
        for file in self._files:
            if file.is_removed():
                raise AudioFileError(
                    f"{file.path} was deleted while recording: what was recorded until then is kept"
                )
            file.update_header()

    def _finish(self) -> None:
        """Leave files that are equally long and play, as far as the disk lets us."""
        samples = self._ring.read = min(file.samples for file in self._files)
        if samples == 0:
            self._remove_files()
            return
        for file in self._files:
            try:
                if file.is_removed():
                    file.restore()
                if file.samples > samples:
                    file.cut(samples)
                if not file.is_in_place():
                    self._fail(
                        AudioFileError(
                            f"{file.path} was moved while recording: it is where it went"
                        )
                    )
                file.close()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:  # the first one tells most
            if not isinstance(error, RtsepError):
                folder = self.paths[0].parent
                error = AudioFileError(f"cannot record to {folder}: {_reason(error)}")
            self.failure = error


def already_recorded(path: Path) -> UsageError:
    """The error for a recording that would take the place of an earlier one."""
    return UsageError(
        f"{path} is there already: record to another folder, or move that recording away"
    )


def _missing(folder: Path) -> list[Path]:
    """The folders above and with `folder` that have to be made, the deepest first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _reason(error: Exception) -> str:
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return text[0].lower() + text[1:]

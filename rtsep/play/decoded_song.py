"""A song decoded ahead into a file: stereo at 44.1 kHz, to be read at any place that is there.

Decoders cannot jump to a sample in most formats; so the file is decoded once from its beginning, which
takes some hundredth of its length, and what is there is read from the disk.
"""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS, to_stereo
from rtsep.dsp.resample import StreamResampler
from rtsep.errors import RtsepError
from rtsep.files.reader import AudioReader
from rtsep.files.remarks import Remark
from rtsep.play.pcm_file import PcmFile
from rtsep.system.scheduling import is_real_time, set_ordinary

SOUND = "decoded.pcm"
_SAMPLES_PER_BLOCK = 16_384
# Between two looks at whether enough has been decoded.
_LOOK_S = 0.005


class DecodedSong:
    """Decodes a file on a thread of its own.

    Parameters
    ----------
    path : Path
        The song.
    folder : Path
        Where the decoded sound stands until `close`.

    Attributes
    ----------
    samples : int
        Decoded so far. Writer: the decoding thread.
    length : int or None
        Of the whole song, once that is known. Writer: the decoding thread.
    length_estimate : int or None
        As the file declares it.
    failure : RtsepError or None
        Why decoding has ended.

    Raises
    ------
    AudioFileError
        Where the file cannot be opened or has no sound.
    OSError
        Where the folder cannot be written.
    """

    def __init__(self, path: Path, folder: Path):
        self._reader = AudioReader(path)
        rate, estimate = self._reader.sample_rate, self._reader.samples_estimate
        self.length_estimate = None if estimate is None else round(estimate * SAMPLE_RATE / rate)
        self.samples = 0
        self.length: int | None = None
        self.failure: RtsepError | None = None
        # writer: the decoding thread; reader: the thread that separates
        self._file = PcmFile(folder / SOUND, NET_CHANNELS)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="rtsep decoding", daemon=True)
        self._thread.start()

    @property
    def remarks(self) -> list[Remark]:
        """What is wrong with the file; complete once `length` is known."""
        return self._reader.remarks

    @property
    def sound_path(self) -> Path:
        """The file of the decoded sound, see PcmFile."""
        return self._file.path

    def wait(self, end: int, timeout_s: float) -> bool:
        """Wait until the samples before `end` are there, or all of the song; False if it takes longer.

        Raises RtsepError where decoding has failed.
        """
        ends_s = time.monotonic() + timeout_s
        while self.samples < end and self.length is None:
            if self.failure is not None:
                raise self.failure
            if time.monotonic() >= ends_s:
                return False
            time.sleep(_LOOK_S)
        return True

    def read(self, begin: int, count: int) -> NDArray[np.float32]:
        """Samples [begin, begin + count), (samples, 2) float32; zeros where none are."""
        return self._file.read(begin, count)

    def close(self) -> None:
        """End decoding and remove the sound."""
        self._closing = True
        self._thread.join()
        self._reader.close()
        self._file.close()
        with contextlib.suppress(OSError):
            self._file.path.unlink()

    def _run(self) -> None:
        if is_real_time():  # as the thread that made this one may be
            set_ordinary()
        try:
            self._decode()
        except RtsepError as error:
            self.failure = error
        except OSError as error:
            self.failure = RtsepError(
                f"cannot write {self._file.path}: {error.strerror}: make room on the disk"
            )
        except Exception as error:  # a defect: the main thread shall say so
            self.failure = RtsepError(f"decoding {self._reader.label} failed: {error!r}")

    def _decode(self) -> None:
        reader = self._reader
        resampler = StreamResampler(reader.sample_rate, SAMPLE_RATE, NET_CHANNELS)
        for block in reader.blocks(_SAMPLES_PER_BLOCK):
            self._append(resampler.push(to_stereo(block)))
            if self._closing:
                return
        self._append(resampler.flush())
        self.length = self.samples

    def _append(self, block: NDArray[np.float32]) -> None:
        self._file.write(self.samples, block)
        self.samples += len(block)

"""A recording plays at any moment, at any length, also where the disk is full."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from rtsep.files.reader import AudioReader
from rtsep.files.recording_file import HEADER_BYTES, RecordingFile
from tests.files.sounds import music
from tests.signal_programs import REPOSITORY

FRAME_BYTES = 8


def decoded(path):
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.blocks(4096)))


@pytest.mark.parametrize("frames_max", [0, 999, 1000, 10**8])
def test_beyond_its_limit_a_wav_file_becomes_rf64_and_keeps_its_sound(tmp_path, frames_max):
    sound = music(1.0)
    limit = HEADER_BYTES - 8 + FRAME_BYTES * frames_max
    path = tmp_path / "s.wav"
    recording = RecordingFile(path, 44_100, 2, limit)
    for end in (1, 500, 1000, 44_100):
        recording.append(sound[recording.samples : end])
        recording.update_header()
        info = soundfile.info(path)
        assert (info.frames, info.samplerate, info.subtype) == (end, 44_100, "FLOAT")
        assert info.format == ("RF64" if end > frames_max else "WAV")
        np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0], sound[:end])
    recording.close()
    np.testing.assert_array_equal(decoded(path), sound)


@pytest.mark.parametrize("frames", [4 * 2**30 // FRAME_BYTES + 5])
def test_more_than_4_gb_are_read_again(tmp_path, frames):
    """The samples before the last ones are a hole in the file, which takes no room."""
    path = tmp_path / "s.wav"
    recording = RecordingFile(path, 44_100, 2)
    recording.samples = frames - 3
    recording.append(np.full((3, 2), 0.5, np.float32))
    recording.close()
    with soundfile.SoundFile(path) as file:
        assert (file.format, file.frames) == ("RF64", frames)
        file.seek(frames - 5)
        assert file.read(dtype="float32")[:, 0].tolist() == [0, 0, 0.5, 0.5, 0.5]


def test_an_earlier_file_is_never_touched(tmp_path):
    (tmp_path / "s.wav").write_bytes(b"earlier")
    with pytest.raises(FileExistsError):
        RecordingFile(tmp_path / "s.wav", 44_100, 2)
    assert (tmp_path / "s.wav").read_bytes() == b"earlier"


KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from rtsep.files.recording_file import RecordingFile
recording = RecordingFile(Path(sys.argv[1]), 44_100, 2)
recording.append(np.full((1000, 2), 0.5, np.float32))
recording.update_header()
recording.append(np.full((50, 2), 0.25, np.float32))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_was_flushed_plays_after_a_kill(tmp_path):
    path = tmp_path / "s.wav"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=REPOSITORY, check=False)
    assert done.returncode == -9
    assert soundfile.read(path)[0][:1000].tolist() == [[0.5, 0.5]] * 1000
    assert len(decoded(path)) == 1000


# Apart, as the limit on the length of files holds for the whole process: it is what a full disk is.
FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from rtsep.files.recording_file import RecordingFile
recording = RecordingFile(Path(sys.argv[1]), 44_100, 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_001, 10_001))
try:
    recording.append(np.full((100_000, 2), 0.5, np.float32))
except OSError as error:
    print(error.strerror, recording.samples)
recording.cut(recording.samples)
recording.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the length of files")
def test_a_full_disk_leaves_whole_samples_that_play(tmp_path):
    path = tmp_path / "s.wav"
    command = [sys.executable, "-c", FULL, str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    frames = (10_001 - HEADER_BYTES) // FRAME_BYTES
    assert done.stdout == f"File too large {frames}\n"
    assert path.stat().st_size == HEADER_BYTES + frames * FRAME_BYTES
    assert soundfile.read(path)[0].tolist() == [[0.5, 0.5]] * frames

"""What was recorded stays, whatever happens to the disk, and what is missing is counted."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from rtsep.errors import AudioFileError, UsageError
from rtsep.live import recorder as recorder_module
from rtsep.live.recorder import RING_S, Recorder

STEMS = ("vocals", "accompaniment")
RATE = 44_100
WAIT_S = 30.0


def output(samples: int, seed: int = 0) -> np.ndarray:
    """What an engine with separate stems gives out: mix and stems, (samples, 6) float32."""
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((samples, 6))).astype(np.float32)


def stems_in(folder) -> list[np.ndarray]:
    return [soundfile.read(folder / f"{stem}.wav", dtype="float32")[0] for stem in STEMS]


def assert_holds_the_beginning(folder, played) -> int:
    """Check that both stems play, are equally long and hold what was played; return their length."""
    found = stems_in(folder)
    length = len(found[0])
    for stem, sound in enumerate(found):
        np.testing.assert_array_equal(sound, played[:length, 2 + 2 * stem : 4 + 2 * stem])
    return length


def wait_for(condition) -> None:
    give_up_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def test_the_files_play_while_they_are_being_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "HEADER_S", 0.0)
    recorder = Recorder(tmp_path / "r", STEMS)
    played = output(3 * RATE)
    recorder.push(played[:RATE])
    wait_for(lambda: assert_holds_the_beginning(tmp_path / "r", played) == RATE)
    recorder.push(played[RATE:])
    recorder.close()
    assert assert_holds_the_beginning(tmp_path / "r", played) == 3 * RATE
    assert (recorder.failure, recorder.lost_samples, recorder.recorded_s) == (None, 0, 3.0)


def test_an_earlier_recording_is_refused_and_left_alone(tmp_path):
    (tmp_path / "accompaniment.wav").write_bytes(b"earlier")
    with pytest.raises(UsageError, match=r"accompaniment\.wav is there already: record to another"):
        Recorder(tmp_path, STEMS)
    assert [path.name for path in tmp_path.iterdir()] == ["accompaniment.wav"]
    assert (tmp_path / "accompaniment.wav").read_bytes() == b"earlier"


def test_of_a_recording_of_nothing_nothing_is_left(tmp_path):
    Recorder(tmp_path / "new" / "r", STEMS).close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AudioFileError, match=r"cannot record to .*file/r: not a directory"):
        Recorder(tmp_path / "file" / "r", STEMS)


@contextlib.contextmanager
def small_disk(folder, kilobytes):
    """A disk of its own; skips the test where it may not be mounted."""
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs Linux and root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting a small disk failed: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_on_a_full_disk_what_there_is_stays_and_the_rest_is_counted(tmp_path):
    with small_disk(tmp_path / "disk", 1000) as disk:
        recorder = Recorder(disk / "r", STEMS)
        played = output(4 * RATE)
        recorder.push(played[: 2 * RATE])
        wait_for(lambda: recorder.failure is not None)
        recorder.push(played[2 * RATE :], wait=True)  # nobody waits for a recorder that has ended
        recorder.close()
        assert "cannot record to" in str(recorder.failure)
        assert "no space left on device" in str(recorder.failure)
        length = assert_holds_the_beginning(disk / "r", played)
        # But for the other stem's turn, and whole pages, the disk is full.
        assert 500_000 < length * 8 < 512_000 - 92
        assert recorder.lost_samples == 4 * RATE - length


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        (disk / "filled").write_bytes(bytes(4096))
        with pytest.raises(AudioFileError, match="no space left on device"):
            Recorder(disk / "r", STEMS)
        assert [path.name for path in disk.iterdir()] == ["filled"]


def test_a_system_that_limits_the_length_of_files_ends_the_recording_there(tmp_path):
    resource = pytest.importorskip("resource")
    recorder = Recorder(tmp_path / "r", STEMS)
    played = output(2 * RATE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        recorder.push(played)
        wait_for(lambda: recorder.failure is not None)
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "file too large" in str(recorder.failure)
    length = assert_holds_the_beginning(tmp_path / "r", played)
    most = (100_000 - 92) // 8
    assert most - recorder_module.SAMPLES_PER_WRITE <= length <= most
    assert recorder.lost_samples == 2 * RATE - length


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no open files")
def test_a_folder_that_is_deleted_is_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "HEADER_S", 0.0)
    recorder = Recorder(tmp_path / "r", STEMS)
    played = output(RATE)
    recorder.push(played)
    wait_for(lambda: recorder.recorded_s == 1.0)
    shutil.rmtree(tmp_path / "r")
    wait_for(lambda: recorder.failure is not None)
    recorder.close()
    assert "vocals.wav was deleted while recording" in str(recorder.failure)
    assert assert_holds_the_beginning(tmp_path / "r", played) == RATE


@pytest.mark.skipif(sys.platform == "win32", reason="Windows moves no open files")
def test_a_folder_that_is_moved_is_told_and_nothing_is_lost(tmp_path):
    recorder = Recorder(tmp_path / "r", STEMS)
    played = output(RATE)
    recorder.push(played[:1000])
    (tmp_path / "r").rename(tmp_path / "moved")
    recorder.push(played[1000:])
    recorder.close()
    assert "vocals.wav was moved while recording" in str(recorder.failure)
    assert assert_holds_the_beginning(tmp_path / "moved", played) == RATE
    assert recorder.lost_samples == 0


def test_a_defect_in_the_recorders_thread_is_told_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Recorder, "_save", lambda recorder: 1 // 0)
    recorder = Recorder(tmp_path / "r", STEMS)
    recorder.push(output(100))
    recorder.close()
    assert "division" in str(recorder.failure)
    assert recorder.lost_samples == 100


def test_a_ring_that_is_full_loses_samples_and_counts_them(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder_module, "POLL_S", 30.0)  # the thread sleeps on
    recorder = Recorder(tmp_path, STEMS)
    block = np.zeros((RATE, 6), np.float32)
    for _ in range(RING_S + 1):
        recorder.push(block)
    assert recorder.lost_samples == RATE
    recorder.close()
    assert recorder.recorded_s == RING_S

"""Reading: every format gives the sound that was put in, part by part, and nothing bad gets by."""

from __future__ import annotations

import os
import struct
import sys

import av
import numpy as np
import pytest
import soundfile

from rtsep.audio.reader import AudioReader
from rtsep.audio.sndfile_source import SndfileSource
from rtsep.audio.source import CannotDecodeError
from rtsep.errors import AudioFileError
from tests.audio.sounds import cut_short, encode, music, signal_to_noise_db, write_file

SECONDS = 2.0
LOSSLESS = ["wav", "aiff", "w64", "caf", "au", "rf64", "flac"]
LOSSY = ["ogg", "opus", "mp3", "m4a", "mka", "mp4"]


def rate_of(kind: str) -> int:
    return 48_000 if kind == "opus" else 44_100


def read(path, start_s=None, duration_s=None, frames_per_block=4096) -> np.ndarray:
    with AudioReader(path, start_s, duration_s) as reader:
        return np.concatenate(list(reader.blocks(frames_per_block)))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of every format, all of the same sound."""
    folder = tmp_path_factory.mktemp("formats")
    return {
        kind: write_file(folder / f"song.{kind}", music(SECONDS, rate_of(kind)), rate_of(kind))
        for kind in LOSSLESS + LOSSY
    }


@pytest.mark.parametrize("kind", LOSSLESS + LOSSY)
def test_every_format_gives_the_sound_in_time(files, kind):
    original = music(SECONDS, rate_of(kind))
    with AudioReader(files[kind]) as reader:
        assert (reader.sample_rate, reader.channels) == (rate_of(kind), 2)
        # Within two packets of an encoder that fills up the last one.
        assert abs((reader.frames_estimate or 0) - len(original)) <= 2048
        sound = np.concatenate(list(reader.blocks(10_000)))
    if kind in LOSSLESS:
        assert len(sound) == len(original)
    assert len(original) <= len(sound) <= len(original) + 2048
    limit_db = {"flac": 100, "opus": 15}.get(kind, 150 if kind in LOSSLESS else 20)
    # A shift of a single sample would leave less than 15 dB.
    assert signal_to_noise_db(sound[: len(original)], original) > limit_db


@pytest.mark.parametrize("kind", LOSSLESS + LOSSY)
def test_a_part_is_exact_to_the_sample(files, kind):
    whole = read(files[kind])
    rate = rate_of(kind)
    start, frames = 33_333, 20_001
    # An Opus decoder that starts in the middle may differ in a last bit.
    tolerance = 1e-6 if kind == "opus" else 0.0
    part = read(files[kind], start / rate, frames / rate)
    assert part.shape == (frames, 2)
    assert np.abs(part - whole[start : start + frames]).max() <= tolerance
    rest = read(files[kind], start / rate)
    assert rest.shape == whole[start:].shape
    assert np.abs(rest - whole[start:]).max() <= tolerance


@pytest.mark.parametrize("kind", ["wav", "m4a"])
@pytest.mark.parametrize("frames_per_block", [1000, 8192, 1_000_000])
def test_blocks_have_the_length_asked_for(files, kind, frames_per_block):
    with AudioReader(files[kind]) as reader:
        blocks = list(reader.blocks(frames_per_block))
    assert all(len(block) == frames_per_block for block in blocks[:-1])
    assert 1 <= len(blocks[-1]) <= frames_per_block
    assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)
    assert np.array_equal(np.concatenate(blocks), read(files[kind]))


def test_the_estimate_is_that_of_the_part(files):
    with AudioReader(files["wav"], 0.5, 0.25) as reader:
        assert reader.frames_estimate == 11_025
    with AudioReader(files["wav"], 1.5, 10.0) as reader:
        assert reader.frames_estimate == 22_050


@pytest.mark.parametrize("kind", ["wav", "mp3", "m4a"])
def test_mono_stays_mono(tmp_path, kind):
    path = write_file(tmp_path / f"mono.{kind}", music(1.0, channels=1))
    with AudioReader(path) as reader:
        assert reader.channels == reader.source_channels == 1
        assert next(reader.blocks(500)).shape == (500, 1)


def test_six_channels_become_stereo_without_clipping(tmp_path):
    full_scale = np.ones((20_000, 6), np.float32)
    soundfile.write(tmp_path / "six.wav", full_scale, 44_100, subtype="FLOAT")
    with AudioReader(tmp_path / "six.wav") as reader:
        assert (reader.channels, reader.source_channels) == (2, 6)
        sound = np.concatenate(list(reader.blocks(4096)))
    assert sound.shape == (20_000, 2)
    assert np.allclose(sound, 1.0, atol=1e-5)


def test_the_left_channels_stay_on_the_left(tmp_path):
    sound = np.zeros((20_000, 6), np.float32)
    sound[:, 0] = 0.5
    encode(tmp_path / "six.flac", sound, "flac")
    mixed = read(tmp_path / "six.flac")
    assert mixed[:, 0].min() > 0.15
    assert np.abs(mixed[:, 1]).max() < 1e-4


def test_nine_channels_are_refused(tmp_path):
    soundfile.write(tmp_path / "nine.wav", np.ones((1000, 9)), 44_100)
    with pytest.raises(AudioFileError, match=r"nine\.wav has 9 channels in no known arrangement"):
        AudioReader(tmp_path / "nine.wav")


def test_an_mp3_of_variable_bit_rate_without_an_index_is_read_to_its_end(tmp_path):
    # Silence first: the guess from the first frames' bit rate is far too long.
    sound = np.concatenate([np.zeros((88_200, 2), np.float32), music(4.0)])
    path = encode(
        tmp_path / "live.mp3", sound, "libmp3lame",
        codec_options={"flags": "+qscale", "global_quality": "472"},
        container_options={"write_xing": "0", "id3v2_version": "0"},
    )  # fmt: skip
    # A multiple of 3200 bytes makes the guess a whole number of samples, as an index would.
    content = path.read_bytes()
    path.write_bytes(content + bytes(-len(content) % 3200))
    with AudioReader(path) as reader:
        assert (reader.frames_estimate or 0) > len(sound) + 22_050
        frames = sum(len(block) for block in reader.blocks(4096))
    assert len(sound) <= frames <= len(sound) + 4096


def test_mp3_is_never_left_to_libsndfile(tmp_path, capfd):
    path = write_file(tmp_path / "song.mp3", music(2.0))
    with pytest.raises(CannotDecodeError):
        SndfileSource(path)
    cut_short(path).rename(tmp_path / "song.bin")
    with pytest.raises(AudioFileError, match="cut short"):
        read(tmp_path / "song.bin")
    assert capfd.readouterr().err == ""  # its MP3 decoder would complain here


def test_damaged_packets_are_left_out_as_players_do(tmp_path):
    path = write_file(tmp_path / "song.mp3", music(8.0))
    content = bytearray(path.read_bytes())
    content[100_000:103_000] = np.random.default_rng(3).bytes(3000)
    path.write_bytes(content)
    with av.open(str(path)) as container, pytest.raises(av.FFmpegError):
        for _frame in container.decode(audio=0):
            pass
    assert abs(len(read(path)) - 8 * 44_100) < 22_050


def test_titles_in_any_encoding_do_no_harm(tmp_path):
    soundfile.write(tmp_path / "six.wav", np.zeros((1000, 6)), 44_100)
    title = b"LIST" + struct.pack("<I", 16) + b"INFOIART" + struct.pack("<I", 4) + b"caf\xe9"
    content = (tmp_path / "six.wav").read_bytes() + title
    riff_bytes = struct.pack("<I", len(content) - 8)
    (tmp_path / "six.wav").write_bytes(content[:4] + riff_bytes + content[8:])
    assert len(read(tmp_path / "six.wav")) == 1000


def test_a_stream_of_unknown_length_is_no_truncated_file(tmp_path):
    path = write_file(tmp_path / "piped.wav", music(1.0))
    content = bytearray(path.read_bytes())
    position = content.index(b"data") + 4
    content[position : position + 4] = content[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read(path)) == 44_100


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 exist on Linux")
@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_names_of_any_bytes_can_be_read(tmp_path, files, kind):
    name = os.fsencode(tmp_path) + b"/caf\xe9 concat:a|b [x]." + kind.encode()
    with open(name, "wb") as file:
        file.write(files[kind].read_bytes())
    assert np.array_equal(read(os.fsdecode(name)), read(files[kind]))


@pytest.mark.parametrize("kind", LOSSLESS + LOSSY)
def test_a_file_that_is_cut_short_is_told(tmp_path, kind):
    path = write_file(tmp_path / f"cut.{kind}", music(SECONDS, rate_of(kind)), rate_of(kind))
    with pytest.raises(AudioFileError, match=r"cut\.\w+ .*cut short.*get it again"):
        read(cut_short(path))


def test_an_m4a_that_lost_its_index_is_told(tmp_path):
    path = encode(tmp_path / "cut.m4a", music(1.0), "aac")  # the index is at the end
    with pytest.raises(AudioFileError, match="is no audio file, or so damaged or cut short"):
        AudioReader(cut_short(path))


def _write(path, content: bytes):
    path.write_bytes(content)
    return path


def _silent_video(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        image = np.zeros((32, 32, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    return path


def _not_finite(path, value: float):
    sound = music(2.0)
    sound[66_150, 1] = value
    soundfile.write(path, sound, 44_100, subtype="FLOAT")
    return path


BAD = {
    "missing": (lambda folder: folder / "missing.wav", "no such file: .*missing.wav"),
    "folder": (lambda folder: folder, "is a folder: name the audio files in it"),
    "empty": (lambda folder: _write(folder / "e.wav", b""), r"e\.wav is empty: it has 0 bytes"),
    "text": (lambda folder: _write(folder / "t.wav", b"hello\n" * 99), "is no audio file"),
    "source": (lambda folder: _write(folder / "t.py", b"import os\n" * 9), "is no audio file"),
    "noise": (
        lambda folder: _write(folder / "n.mp3", np.random.default_rng(0).bytes(200_000)),
        r"n\.mp3 (is no audio|has an audio stream in which not one sample)",
    ),
    "video": (lambda folder: _silent_video(folder / "v.mp4"), r"v\.mp4 has no audio stream"),
    "no samples": (
        lambda folder: write_file(folder / "z.wav", np.zeros((0, 2))),
        r"z\.wav holds no sound: it has 0 samples",
    ),
    "NaN": (
        lambda folder: _not_finite(folder / "nan.wav", np.nan),
        r"nan\.wav holds NaN samples, the first at 1\.50 s",
    ),
    "infinite": (
        lambda folder: _not_finite(folder / "inf.wav", -np.inf),
        r"inf\.wav holds infinite samples, the first at 1\.50 s",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, case, capfd):
    make, message = BAD[case]
    with pytest.raises(AudioFileError, match=message) as caught:
        read(make(tmp_path))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # the libraries behind say nothing of their own


@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_a_start_beyond_the_end_is_refused(files, kind):
    with pytest.raises(AudioFileError, match=r"ends before 5\.00 s: choose an earlier start"):
        read(files[kind], 5.0)

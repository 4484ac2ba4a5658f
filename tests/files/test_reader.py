"""Reading: every format gives the sound that was put in, part by part, and nothing bad gets by."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile

from rtsep.errors import AudioFileError
from rtsep.files.byte_source import OpenFile
from rtsep.files.ffmpeg_source import FfmpegSource
from rtsep.files.reader import AudioReader
from rtsep.files.sndfile_source import SndfileSource
from rtsep.files.source import CannotDecodeError
from tests.files.sounds import cut_short, encode, music, signal_to_noise_db, write_file

SECONDS = 2.0
LOSSLESS = ["wav", "aiff", "w64", "caf", "au", "rf64", "flac"]
LOSSY = ["ogg", "opus", "mp3", "m4a", "mka", "mp4"]


def rate_of(kind: str) -> int:
    return 48_000 if kind == "opus" else 44_100


def remarks_of(path) -> list[str]:
    with AudioReader(path) as reader:
        for _block in reader.blocks(65_536):
            pass
        return [str(remark) for remark in reader.remarks]


def read(path, start_s=None, duration_s=None, samples_per_block=4096) -> np.ndarray:
    with AudioReader(path, start_s, duration_s) as reader:
        return np.concatenate(list(reader.blocks(samples_per_block)))


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
        assert abs((reader.samples_estimate or 0) - len(original)) <= 2048
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
@pytest.mark.parametrize("samples_per_block", [1000, 8192, 1_000_000])
def test_blocks_have_the_length_asked_for(files, kind, samples_per_block):
    with AudioReader(files[kind]) as reader:
        blocks = list(reader.blocks(samples_per_block))
    assert all(len(block) == samples_per_block for block in blocks[:-1])
    assert 1 <= len(blocks[-1]) <= samples_per_block
    assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)
    assert np.array_equal(np.concatenate(blocks), read(files[kind]))


def test_the_estimate_is_that_of_the_part(files):
    with AudioReader(files["wav"], 0.5, 0.25) as reader:
        assert reader.samples_estimate == 11_025
    with AudioReader(files["wav"], 1.5, 10.0) as reader:
        assert reader.samples_estimate == 22_050


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
        assert (reader.samples_estimate or 0) > len(sound) + 22_050
        frames = sum(len(block) for block in reader.blocks(4096))
    assert len(sound) <= frames <= len(sound) + 4096


OPENS = """
import sys
from rtsep.files.reader import AudioReader
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
with AudioReader(sys.argv[1]) as reader:
    for block in reader.blocks(4096):
        pass
print(sum(str(name) == sys.argv[1] for name in opened))
"""


@pytest.mark.parametrize("name", ["song.wav", "song.mp3", "song.mat"])
def test_a_file_is_opened_once(tmp_path, name):
    """Whatever is looked at, and whichever decoder reads it in the end."""
    path = tmp_path / name
    if name.endswith("mat"):
        soundfile.write(path, music(1.0), 44_100, format="MAT5", subtype="FLOAT")
    else:
        write_file(path, music(1.0))
    done = subprocess.run(
        [sys.executable, "-c", OPENS, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"


def test_mp3_is_never_left_to_libsndfile(tmp_path, capfd):
    path = write_file(tmp_path / "song.mp3", music(2.0))
    with pytest.raises(CannotDecodeError):
        SndfileSource(OpenFile(path))
    assert capfd.readouterr().err == ""  # its MP3 decoder would complain here


def test_what_ffmpeg_does_not_know_is_read_by_libsndfile(tmp_path):
    sound = music(1.0)
    soundfile.write(tmp_path / "song.mat", sound, 44_100, format="MAT5", subtype="FLOAT")
    with pytest.raises(CannotDecodeError):
        FfmpegSource(OpenFile(tmp_path / "song.mat"))
    assert np.array_equal(read(tmp_path / "song.mat"), sound)
    assert np.array_equal(read(tmp_path / "song.mat", 0.5), sound[22_050:])


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
def test_of_a_file_that_is_cut_short_the_beginning_is_read_and_the_rest_told(tmp_path, kind):
    path = write_file(tmp_path / f"cut.{kind}", music(4.0, rate_of(kind)), rate_of(kind))
    whole = read(path)
    cut_short(path)
    with AudioReader(path) as reader:
        sound = np.concatenate(list(reader.blocks(4096)))
        assert any(remark.damage for remark in reader.remarks)
    assert 0.2 * len(whole) < len(sound) < 0.8 * len(whole)
    assert signal_to_noise_db(sound[:-4096], whole[: len(sound) - 4096]) > 100
    with (
        AudioReader(path, strict=True) as reader,
        pytest.raises(
            AudioFileError, match=r"cut\.\w+ is .*: get it again, or do without `strict`"
        ),
    ):
        list(reader.blocks(4096))


@pytest.mark.parametrize("declared", [0, 0x7FFF_FFFF, 0xFFFF_FFFF, 1_000_000])
def test_a_wav_is_read_to_its_end_whatever_length_it_declares(tmp_path, declared):
    sound = music(1.0)
    path = write_file(tmp_path / "streamed.wav", sound)
    content = bytearray(path.read_bytes())
    position = content.index(b"data") + 4
    content[position : position + 4] = struct.pack("<I", declared)
    path.write_bytes(content)
    assert np.array_equal(read(path), sound)
    assert len(remarks_of(path)) == (declared == 1_000_000)


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
        r"z\.wav holds no sound, it has 0 samples",
    ),
    "playlist": (
        lambda folder: _write(folder / "list.m3u", b"one.wav\ntwo.wav\n"),
        r"list\.m3u is a playlist",
    ),
    "1 Hz": (
        lambda folder: write_file(folder / "slow.wav", np.ones((100, 2), np.float32), 1),
        r"slow\.wav declares a sample rate of 1 Hz, which no sound has",
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


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e38, 2e5])
def test_bad_samples_are_replaced_and_told_with_place_and_value(tmp_path, value):
    sound = music(2.0)
    bad = sound.copy()
    bad[66_150, 1] = bad[70_000, 0] = value
    soundfile.write(tmp_path / "bad.wav", bad, 44_100, subtype="FLOAT")
    result = read(tmp_path / "bad.wav", samples_per_block=1000)
    good = np.ones(sound.shape, bool)
    good[66_150, 1] = good[70_000, 0] = False
    assert np.array_equal(result[good], sound[good])
    # 70,000 begins a block: the line starts from the block before.
    neighbours = (sound[69_999, 0] + sound[70_001, 0]) / 2
    assert result[70_000, 0] == pytest.approx(neighbours, abs=1e-6)
    (line,) = remarks_of(tmp_path / "bad.wav")
    assert f"has 2 samples that are no sound, the first at 1.500 s ({value:g})" in line
    message = r"bad\.wav has 1 sample that is no sound"
    with (
        AudioReader(tmp_path / "bad.wav", strict=True) as reader,
        pytest.raises(AudioFileError, match=message),
    ):
        list(reader.blocks(1000))


@pytest.mark.parametrize("kind", ["wav", "aiff", "caf", "au", "w64", "flac"])
@pytest.mark.parametrize("encoding", ["PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "DOUBLE"])
def test_integers_are_scaled_alike_by_every_decoder(tmp_path, kind, encoding):
    if encoding not in soundfile.available_subtypes(kind.upper()):
        pytest.skip(f"no {encoding} in {kind}")
    path = tmp_path / f"song.{kind}"
    soundfile.write(path, 8 * music(0.5), 44_100, format=kind.upper(), subtype=encoding)
    expected, _rate = soundfile.read(path, dtype="float32")
    assert np.array_equal(read(path), expected)

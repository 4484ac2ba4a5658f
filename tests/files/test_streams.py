"""Reading sound as it comes, from real pipes: no seeking, no waiting for the end."""

from __future__ import annotations

import io
import os
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from rtsep.errors import AudioFileError, UsageError
from rtsep.files.byte_source import KEPT_BYTES, ByteStream
from rtsep.files.raw_pcm import RawFormat, encode
from rtsep.files.reader import AudioReader
from tests.files.sounds import RATE, cut_short, music, read_file, write_file
from tests.files.sounds import encode as encode_file
from tests.files.test_timeline import _patched, _scrambled

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}
KINDS = {
    "wav": ("song.wav", None, {}),
    "flac": ("song.flac", None, {}),
    "ogg": ("song.ogg", None, {}),
    "mp3": ("song.mp3", None, {}),
    "adts": ("song.aac", "aac", {}),
    "matroska": ("song.mka", None, {}),
    "mpegts": ("song.ts", "aac", {}),
    "fragmented mp4": ("song.mp4", "aac", FRAGMENTED),
    "au": ("song.au", None, {}),
}


def make(folder, kind, seconds=4.0):
    name, codec, options = KINDS[kind]
    sound = music(seconds)
    if codec is None:
        return write_file(folder / name, sound)
    return encode_file(folder / name, sound, codec, container_options=options)


@contextmanager
def pipe_with(content, step=10_007, keep_open=False):
    """The reading end of a pipe into which `content` is written, `step` bytes at a time."""
    reading, writing = os.pipe()

    def write():
        try:
            for at in range(0, len(content), step):
                os.write(writing, content[at : at + step])
        except BrokenPipeError:
            pass
        if not keep_open:
            os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb", buffering=0) as file:
        yield file
    thread.join()
    if keep_open:
        os.close(writing)


def read_pipe(content, *arguments, **options):
    with pipe_with(content) as file, AudioReader(file, *arguments, **options) as reader:
        blocks = list(reader.blocks(4096))
        return np.concatenate(blocks), [str(remark) for remark in reader.remarks]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_gives_what_the_file_gives(tmp_path, kind):
    path = make(tmp_path, kind)
    sound, remarks = read_pipe(path.read_bytes())
    whole = read_file(path)
    np.testing.assert_array_equal(sound[: len(whole)], whole)
    # Where an MP3 stream ends, FFmpeg does not know what of its last frame is padding.
    assert len(sound) - len(whole) < (1152 if kind == "mp3" else 1)
    assert remarks == []


def test_a_part_of_a_pipe_is_exact_to_the_sample(tmp_path):
    path = make(tmp_path, "flac")
    part, _ = read_pipe(path.read_bytes(), 0.5, 0.25)
    np.testing.assert_array_equal(part, read_file(path)[22_050:33_075])


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "adts", "matroska"])
def test_sound_is_there_before_the_pipe_ends(tmp_path, kind):
    content = make(tmp_path, kind).read_bytes()
    with (
        pipe_with(content, keep_open=True) as file,
        AudioReader(file) as reader,
    ):
        # More than this is waited for forever: the pipe stays open.
        blocks = reader.blocks(1024)
        assert sum(len(next(blocks)) for _ in range(2 * RATE // 1024)) > 1.9 * RATE


@pytest.mark.parametrize("kind", ["wav", "ogg", "matroska", "au"])
@pytest.mark.parametrize("seconds", [4.0, 20.0])
def test_a_stream_that_is_cut_short_is_told(tmp_path, kind, seconds):
    content = cut_short(make(tmp_path, kind, seconds), 0.8).read_bytes()
    _, remarks = read_pipe(content)
    assert any("is cut short" in remark for remark in remarks)
    with pytest.raises(AudioFileError, match="cut short"):
        read_pipe(content, strict=True)


def test_wav_whose_writer_could_not_go_back_is_whole(tmp_path):
    content = bytearray(make(tmp_path, "wav").read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = content[at : at + 4] = b"\xff" * 4
    sound, remarks = read_pipe(bytes(content))
    np.testing.assert_array_equal(sound, music(4.0))
    assert remarks == []


def test_a_file_object_is_neither_sought_nor_closed(tmp_path):
    class OnlyReads(io.RawIOBase):
        content = io.BytesIO(make(tmp_path, "wav").read_bytes())

        def readable(self):
            return True

        def read(self, count=-1):
            return self.content.read(min(count, 999))

        def seek(self, *_):
            raise AssertionError("sought")

    file = OnlyReads()
    with AudioReader(file) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.blocks(4096))), music(4.0))
    assert not file.closed


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty: it has 0 bytes"),
        (b"not a song\n" * 500, "has no sound that can be read as it comes: send WAV, FLAC"),
        (b"#EXTM3U\nhttp://127.0.0.1/x.mp3\n", "is a playlist"),
        (b"ffconcat version 1.0\nfile song.wav\n", "is a playlist"),
    ],
    ids=["empty", "text", "m3u", "concat"],
)
def test_what_is_no_sound_is_told(content, told):
    with pytest.raises(AudioFileError, match=told):
        read_pipe(content)


def test_mp4_with_its_index_behind_the_sound_is_told(tmp_path):
    path = encode_file(tmp_path / "song.mp4", music(10.0), "aac")
    with pytest.raises(AudioFileError, match="can be read as it comes.*save it to a file first"):
        read_pipe(path.read_bytes())


@pytest.mark.parametrize(
    "make_locked",
    [_scrambled, lambda folder: _patched(folder, "m4a", (b"ftypM4A ", b"ftypaax "))],
    ids=["transport stream", "Audible"],
)
def test_an_encrypted_stream_is_called_that(tmp_path, make_locked):
    with pytest.raises(AudioFileError, match="is encrypted"):
        read_pipe(make_locked(tmp_path).read_bytes())


def test_a_stream_that_fails_is_told():
    class Fails(io.RawIOBase):
        name = "the network"

        def read(self, _count=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(AudioFileError, match="cannot read the network: Input/output error"):
        AudioReader(Fails())
    with pytest.raises(AudioFileError, match="cannot read the network: Input/output error"):
        AudioReader(Fails(), raw=RawFormat("f32le"))


@pytest.mark.parametrize("length", [0, 1, KEPT_BYTES - 1, KEPT_BYTES + 5, 2 * KEPT_BYTES + 9])
def test_of_a_stream_both_ends_are_kept(length):
    content = np.random.default_rng(length).bytes(length)
    stream = ByteStream(io.BytesIO(content))
    while stream.read(777):
        pass
    view = stream.view()
    assert view.seek(0, 2) == length
    for at in (0, 10, max(0, length - KEPT_BYTES), max(0, length - 10)):
        view.seek(at)
        begin = view.read(10)
        assert begin == content[at : at + 10]


# --- raw PCM ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["s16le", "f32le"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("step", [1_001, 65_536])
def test_raw_pcm_comes_back(encoding, channels, step):
    sound = music(0.5, 48_000, channels)
    raw = RawFormat(encoding, 48_000, channels)
    with (
        pipe_with(encode(sound, encoding), step) as file,
        AudioReader(file, 0.1, 0.2, raw=raw) as reader,
    ):
        assert (reader.sample_rate, reader.channels) == (48_000, channels)
        result = np.concatenate(list(reader.blocks(1000)))
    tolerance = 0.5 / 2**15 if encoding == "s16le" else 0
    np.testing.assert_allclose(result, sound[4800 : 4800 + 9600], rtol=0, atol=tolerance)


def test_integers_are_limited_to_full_scale():
    block = np.array([[2.0], [-2.0], [1.0], [-1.0], [0.5]], np.float32)
    samples = np.frombuffer(encode(block, "s16le"), "<i2")
    assert samples.tolist() == [32_767, -32_768, 32_767, -32_768, 16_384]


@pytest.mark.parametrize("left_over", [1, 3, 7])
def test_a_pipe_that_ends_in_the_middle_of_a_sample_is_told(left_over):
    content = encode(music(0.1), "f32le") + bytes(left_over)
    raw = RawFormat("f32le", RATE, 2)
    sound, remarks = read_pipe(content, raw=raw)
    np.testing.assert_array_equal(sound, music(0.1))
    expected = f"ends in the middle of a sample: its last {left_over} of 8 bytes are left out"
    assert remarks == [expected]
    with pytest.raises(AudioFileError, match="middle of a sample"):
        read_pipe(content, raw=raw, strict=True)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "matroska"])
def test_a_container_is_not_taken_for_raw_pcm(tmp_path, kind):
    with pytest.raises(AudioFileError, match="by its first bytes, not raw PCM: read it as that"):
        read_pipe(make(tmp_path, kind).read_bytes(), raw=RawFormat("f32le"))


def test_raw_pcm_has_one_track_and_something_in_it():
    with pytest.raises(AudioFileError, match="no audio track 2: raw PCM has 1"):
        read_pipe(b"\0" * 80, track=2, raw=RawFormat("f32le"))
    with pytest.raises(AudioFileError, match="is empty"):
        read_pipe(b"", raw=RawFormat("f32le"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("s24le",), "unknown encoding 's24le' of raw PCM: choose s16le or f32le"),
        (("f32le", 10), "sample rate of raw PCM must be from 1000 to"),
        (("f32le", RATE, 6), "audio must have 1 or 2 channels: got 6"),
    ],
)
def test_an_impossible_raw_format_is_told(options, told):
    with pytest.raises(UsageError, match=told):
        RawFormat(*options)

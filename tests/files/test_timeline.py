"""What is read lasts as long as the file plays, and every moment of it stands at its time."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from rtsep.errors import AudioFileError
from rtsep.files.reader import AudioReader
from tests.files.oracle import played_by_ffmpeg
from tests.files.sounds import encode, music, write_file

RATE = 44_100


def read(path: Path, *, start_s: float | None = None, **options) -> tuple[np.ndarray, list[str]]:
    with AudioReader(path, start_s, **options) as reader:
        sound = np.concatenate(list(reader.blocks(65_536)))
        return sound, [str(remark) for remark in reader.remarks]


def steady(seconds: float, rate: int = RATE, channels: int = 2, seed: int = 1) -> np.ndarray:
    """Noise of a few hundred hertz without any silence, so that every moment can be told."""
    random = np.random.default_rng(seed)
    noise = random.standard_normal((round(seconds * rate) + 40, channels))
    smooth = np.apply_along_axis(np.convolve, 0, noise, np.hanning(41), "valid")
    return (0.2 * smooth / np.abs(smooth).max()).astype(np.float32)


def shift_of(sound: np.ndarray, reference: np.ndarray, at: int, most: int = 4000) -> int:
    """Samples by which `sound` around `at` comes later than `reference`."""
    length = 8192
    piece = reference[at : at + length, 0].astype(float)
    around = sound[at - most : at + length + most, 0].astype(float)
    return int(np.argmax(np.correlate(around, piece, "valid"))) - most


# --- intact files -------------------------------------------------------------------------------

INTACT = [
    "wav", "aiff", "caf", "au", "w64", "flac", "ogg", "opus", "mp3", "mka", "m4a", "mp4",
]  # fmt: skip


@pytest.mark.parametrize("kind", INTACT)
def test_an_intact_file_is_what_ffmpeg_plays(tmp_path, kind):
    rate = 48_000 if kind == "opus" else RATE
    path = write_file(tmp_path / f"song.{kind}", music(2.0, rate), rate)
    sound, remarks = read(path)
    assert remarks == []
    np.testing.assert_allclose(sound, played_by_ffmpeg(path), atol=1e-6)


def test_vorbis_blocks_of_changing_length_are_no_damage(tmp_path):
    # Beats make the encoder change the length of its blocks, and FFmpeg's time stamps wander.
    random = np.random.default_rng(1)
    sound = 0.01 * random.standard_normal((8 * RATE, 2))
    for at in random.integers(0, 8 * RATE - 4000, 60):
        sound[at : at + 4000] += 0.8 * np.exp(-np.arange(4000) / 500)[:, np.newaxis]
    sound = np.clip(sound, -1, 1).astype(np.float32)
    path = write_file(tmp_path / "beats.ogg", sound)
    found, remarks = read(path)
    assert remarks == []
    assert len(found) == len(sound)


@pytest.mark.parametrize("kind", ["ogg", "opus", "mp3"])
def test_chained_streams_are_read_whole(tmp_path, kind):
    rate = 48_000 if kind == "opus" else RATE
    first, second = (
        write_file(tmp_path / f"{seed}.{kind}", music(2.0, rate, seed=seed), rate)
        for seed in (1, 2)
    )
    chained = tmp_path / f"chained.{kind}"
    chained.write_bytes(first.read_bytes() + second.read_bytes())
    sound, remarks = read(chained)
    assert remarks == []
    np.testing.assert_allclose(sound, played_by_ffmpeg(chained), atol=1e-6)
    assert len(sound) >= 4 * rate
    original = music(2.0, rate, seed=2)
    at = len(sound) - len(original)
    assert abs(shift_of(sound[at:], original, 30_000)) < 3000


@pytest.mark.parametrize(
    ("kind", "codec"), [("mkv", "flac"), ("mp4", "aac"), ("ts", "mp2"), ("nut", "flac")]
)
def test_sound_that_begins_after_the_picture_stays_in_step_with_it(tmp_path, kind, codec):
    original = steady(4.0)
    late = encode(
        tmp_path / f"late.{kind}", original, codec, bit_rate=256_000, with_video=True, delay_s=1.5
    )
    sound, remarks = read(late)
    lead = len(sound) - len(played_by_ffmpeg(late))
    assert lead == pytest.approx(1.5 * RATE, abs=RATE // 20)
    assert not sound[:lead].any()
    assert abs(shift_of(sound[round(1.5 * RATE) :], original, 50_000)) <= 50  # a millisecond
    assert any("has no sound from 0.00 to 1." in line for line in remarks)


@pytest.mark.parametrize("kind", ["mkv", "mp4", "ts"])
def test_a_gap_is_kept_as_silence(tmp_path, kind):
    codec = "mp2" if kind == "ts" else "aac"
    original = steady(5.0)
    whole, _ = read(encode(tmp_path / f"whole.{kind}", original, codec, bit_rate=256_000))
    path = encode(tmp_path / f"gap.{kind}", original, codec, bit_rate=256_000, pause_s=(2.0, 3.0))
    sound, remarks = read(path)
    assert len(sound) == pytest.approx(len(whole), abs=50)
    assert len(sound) - len(played_by_ffmpeg(path)) == pytest.approx(RATE, abs=2000)
    assert not sound[round(2.2 * RATE) : round(2.8 * RATE)].any()
    assert abs(shift_of(sound, whole, 160_000)) <= 50
    (line,) = remarks
    if kind == "ts":  # where a gap is a loss
        assert "is damaged at 2.0" in line
        return
    assert "has a gap in its sound from 2.0" in line
    np.testing.assert_array_equal(read(path, strict=True)[0], sound)


def test_an_edit_list_says_where_the_sound_begins(tmp_path):
    original = steady(3.0)
    whole, _ = read(encode(tmp_path / "whole.m4a", original, "aac"))
    edited = encode(tmp_path / "edited.m4a", original, "aac", delay_s=-1.0)
    sound, remarks = read(edited)
    assert remarks == []
    assert len(sound) == pytest.approx(len(whole) - RATE, abs=1024)
    at = len(whole) - len(sound)
    assert abs(shift_of(sound, whole[at:], 30_000)) <= 1


@pytest.mark.parametrize("kind", ["ts", "mp3"])
def test_a_change_of_rate_and_channels_is_converted(tmp_path, kind):
    codec = {"ts": "mp2", "mp3": "libmp3lame"}[kind]
    stereo, mono = steady(3.0), steady(3.0, 32_000, 1, seed=2)
    first = encode(tmp_path / f"first.{kind}", stereo, codec, bit_rate=192_000)
    second = encode(tmp_path / f"second.{kind}", mono, codec, 32_000, bit_rate=96_000)
    path = tmp_path / f"both.{kind}"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with AudioReader(path) as reader:
        assert (reader.sample_rate, reader.channels) == (RATE, 2)
    sound, remarks = read(path)
    assert any("changes to 32000 Hz and 1 channel at 3.0" in line for line in remarks)
    assert len(sound) == pytest.approx(6 * RATE, abs=6000)
    # The mono half, at its pitch: compared with the same converted beforehand.
    import soxr

    expected = soxr.resample(mono, 32_000, RATE)
    at = len(sound) - len(expected)
    later = shift_of(sound[at:], expected, 60_000)
    aligned = sound[at + later :][20_000:100_000, 0]
    assert np.corrcoef(aligned, expected[20_000:100_000, 0])[0, 1] > 0.98


# --- damaged files ------------------------------------------------------------------------------


def _damaged(path: Path, part: float = 0.5, count: int = 1500) -> Path:
    content = bytearray(path.read_bytes())
    at = round(part * len(content))
    content[at : at + count] = np.random.default_rng(1).bytes(count)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [
        ("flac", 0), ("ogg", 441), ("opus", 480), ("mp3", 0), ("m4a", 0), ("mka", 45),
        ("aac", 4096), ("mp2.ts", 45),
    ],
)  # fmt: skip
def test_damage_keeps_the_time_of_what_follows_and_is_told(tmp_path, kind, tolerance):
    rate = 48_000 if kind == "opus" else RATE
    original = steady(6.0, rate)
    path = tmp_path / f"song.{kind}"
    if kind in ("aac", "mp2.ts"):
        encode(path, original, kind.removesuffix(".ts"), bit_rate=192_000)
    else:
        write_file(path, original, rate)
    whole, remarks = read(path)
    assert remarks == []
    sound, remarks = read(_damaged(path))
    # The end's padding is not cut off an MP3 any more.
    assert len(sound) == pytest.approx(len(whole), abs=max(tolerance, 1152 * (kind == "mp3")))
    at = round(5 * rate)
    assert abs(shift_of(sound, whole, at)) <= tolerance
    assert all("damaged" in line for line in remarks)
    assert " 2." in remarks[0] or " 3." in remarks[0]  # seconds
    with pytest.raises(AudioFileError, match=r"is damaged at [23]\.\d\d s.*do without `strict`"):
        read(path, strict=True)


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg"])
def test_a_start_counts_the_time_that_damage_took(tmp_path, kind):
    path = _damaged(write_file(tmp_path / f"song.{kind}", steady(6.0)))
    whole, _ = read(path)
    part, _ = read(path, start_s=4.5)
    np.testing.assert_allclose(part, whole[round(4.5 * RATE) :], atol=1e-6)


def test_time_stamps_that_lead_out_of_the_file_are_left_out(tmp_path):
    original = steady(4.0)
    path = encode(tmp_path / "song.ogg", original, "flac")
    content = bytearray(path.read_bytes())
    pages = [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]
    page = pages[len(pages) // 2]
    content[page + 6 + 4] = 1  # the granule position: 2**32 samples later
    path.write_bytes(content)
    sound, remarks = read(path)
    assert len(sound) < 5 * RATE
    assert remarks


# --- tracks and encryption ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mkv", "mp4"])
def test_the_default_track_is_taken_unless_another_is_asked_for(tmp_path, kind):
    original = music(1.0)
    path = encode(tmp_path / f"two.{kind}", original, "aac", tracks=2)
    quiet, remarks_quiet = read(path, track=1)
    loud, _ = read(path, track=2)
    default, remarks = read(path)
    np.testing.assert_array_equal(default, loud)
    assert np.abs(loud).max() == pytest.approx(2 * np.abs(quiet).max(), rel=0.1)
    assert remarks == ["has 2 audio tracks: number 2 is taken, no track was chosen"]
    assert remarks_quiet == []
    with pytest.raises(AudioFileError, match="has no audio track 3: it has 2"):
        read(path, track=3)
    with pytest.raises(AudioFileError, match="has no audio track 2: it has 1"):
        read(write_file(tmp_path / "one.flac", original), track=2)


def _cenc(folder: Path) -> Path:
    key = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    return encode(folder / "locked.mp4", music(1.0), "aac", container_options=key)


def _patched(folder: Path, kind: str, *changes: tuple[bytes, bytes]) -> Path:
    codec, options = ("wmav2", {}) if kind == "wma" else ("aac", {"movflags": "faststart"})
    path = encode(
        folder / f"locked.{kind}", music(1.0), codec, bit_rate=128_000, container_options=options
    )
    content = path.read_bytes()
    for before, after in changes:
        assert before in content
        content = content.replace(before, after, 1)
    path.write_bytes(content)
    return path


def _with_asf_object(folder: Path) -> Path:
    # The padding object that some writers leave; here the codec list is renamed.
    codec_list = bytes.fromhex("4052d1861d31d011a3a400a0c90348f6")
    encryption = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
    return _patched(folder, "wma", (codec_list, encryption))


def _scrambled(folder: Path) -> Path:
    path = encode(folder / "locked.ts", music(1.0), "mp2")
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 188):
        content[at + 3] |= 0x80
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "make",
    [
        _cenc,
        lambda folder: _patched(folder, "m4a", (b"mp4a", b"drms")),
        lambda folder: _patched(folder, "m4a", (b"ftypM4A ", b"ftypaax ")),
        _with_asf_object,
        _scrambled,
    ],
    ids=["common encryption", "FairPlay", "Audible", "Windows Media", "transport stream"],
)
def test_encrypted_sound_is_called_that(tmp_path, make):
    with pytest.raises(AudioFileError, match=r"locked\.\w+ is encrypted"):
        read(make(tmp_path))


# --- only the named file ------------------------------------------------------------------------


class _Doorbell:
    """A web server on loopback that counts who comes."""

    def __enter__(self) -> _Doorbell:
        import http.server
        import threading

        calls = self.calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                calls.append(self.path)
                self.send_error(404)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/song.ts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error) -> None:
        self._server.shutdown()
        self._server.server_close()


LISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{address}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1"><BaseURL>{address}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "pls": "[playlist]\nFile1={address}\nNumberOfEntries=1\n",
    "asx": '<asx version="3.0"><entry><ref href="{address}"/></entry></asx>',
    "asf": "[Reference]\nRef1={address}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
    "cue": 'FILE "{address}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("extension", ["", ".mp3", ".wav", ".m3u8", ".mkv"])
@pytest.mark.parametrize("neighbour", [False, True])
def test_lists_of_files_open_none_of_them(tmp_path, kind, extension, neighbour):
    write_file(tmp_path / "neighbour.wav", music(1.0))
    with _Doorbell() as doorbell:
        address = "neighbour.wav" if neighbour else doorbell.url
        path = tmp_path / f"list{extension}"
        path.write_text(LISTS[kind].format(address=address))
        with pytest.raises(AudioFileError):
            read(path)
        assert doorbell.calls == []


def test_without_the_whitelist_a_list_would_send_requests(tmp_path):
    path = tmp_path / "list.m3u8"
    with _Doorbell() as doorbell:
        path.write_text(LISTS["m3u8"].format(address=doorbell.url))
        with path.open("rb") as file, pytest.raises(av.FFmpegError), av.open(file) as container:
            next(container.decode(audio=0))
        assert doorbell.calls


@pytest.mark.parametrize("kind", ["m3u8", "concat", "pls"])
def test_a_list_is_called_a_list(tmp_path, kind):
    path = tmp_path / "song.mp3"
    path.write_text(LISTS[kind].format(address="neighbour.wav"))
    with pytest.raises(AudioFileError, match=r"song\.mp3 is a playlist .*: name the files in it"):
        read(path)

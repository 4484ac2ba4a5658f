"""The demo's song: taken out of a wheel only if it is the genuine one, and its stems."""

import hashlib
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from rtsep.errors import AudioFileError, RtsepError
from rtsep_bench import demo_song
from rtsep_bench.evaluation import sdr_db


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "songs" / demo_song.FILE_NAME
    monkeypatch.setattr(demo_song, "song_path", lambda: path)
    return path


def _wheel(folder: Path, content: bytes, member: str = demo_song.MEMBER) -> Path:
    path = folder / "made_up-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


def _stem_file(path: Path, streams: int = 5, rate: int = 44_100) -> Path:
    """Stereo AAC streams, each a tone of its own."""
    time_s = np.arange(rate // 2) / rate
    with av.open(str(path), "w", format="mp4") as container:
        outputs = [container.add_stream("aac", rate=rate) for _ in range(streams)]
        for output in outputs:
            output.layout = "stereo"
        for number, output in enumerate(outputs):
            tone = 0.1 * np.sin(2 * np.pi * 200 * (number + 1) * time_s)
            samples = np.stack([tone, -tone]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
            frame.sample_rate = rate
            for packet in [*output.encode(frame), *output.encode(None)]:
                container.mux(packet)
    return path


def test_the_song_is_kept_once_it_has_been_checked(tmp_path, monkeypatch, cache):
    monkeypatch.setattr(demo_song, "SHA256", hashlib.sha256(b"song").hexdigest())
    assert not demo_song.is_there()
    assert demo_song.take_from_package(_wheel(tmp_path, b"song")) == cache
    assert cache.read_bytes() == b"song"
    assert demo_song.is_there()
    assert demo_song.fetch() == cache
    assert [path.name for path in cache.parent.iterdir()] == [demo_song.FILE_NAME]


def test_the_song_is_taken_out_of_an_installed_package_too(tmp_path, monkeypatch, cache):
    """uv leaves a folder where pip leaves a wheel."""
    monkeypatch.setattr(demo_song, "SHA256", hashlib.sha256(b"song").hexdigest())
    member = tmp_path / "package" / demo_song.MEMBER
    member.parent.mkdir(parents=True)
    member.write_bytes(b"song")
    assert demo_song.take_from_package(tmp_path / "package") == cache
    with pytest.raises(AudioFileError, match="holds no stempeg"):
        demo_song.take_from_package(tmp_path)


def test_another_song_is_refused(tmp_path, cache):
    with pytest.raises(AudioFileError, match="is not the demo's song"):
        demo_song.take_from_package(_wheel(tmp_path, b"another"))
    assert not cache.exists()


def test_an_altered_song_in_the_cache_does_not_count(cache):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"altered")
    assert not demo_song.is_there()


def test_damaged_wheels_are_refused(tmp_path):
    with pytest.raises(AudioFileError, match="holds no stempeg/data"):
        demo_song.take_from_package(_wheel(tmp_path, b"song", "elsewhere.mp4"))
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"PK")
    with pytest.raises(AudioFileError, match=r"broken\.whl"):
        demo_song.take_from_package(broken)


def test_the_stems_come_from_their_streams(tmp_path):
    stems = demo_song.true_stems(_stem_file(tmp_path / "song.mp4"))
    assert list(stems) == ["drums", "bass", "other", "vocals", "accompaniment"]
    spectra = {name: np.abs(np.fft.rfft(stem[:22_050, 0])) for name, stem in stems.items()}
    # 22050 samples at 44.1 kHz: two hertz per bin.
    for number, name in enumerate(["drums", "bass", "other", "vocals"], 2):
        assert 2 * int(np.argmax(spectra[name])) == 200 * number
    total = stems["drums"] + stems["bass"] + stems["other"]
    np.testing.assert_array_equal(stems["accompaniment"], total)
    assert stems["vocals"].shape[1] == 2
    np.testing.assert_allclose(stems["vocals"][:, 0], -stems["vocals"][:, 1], atol=1e-2)


@pytest.mark.parametrize(("streams", "rate"), [(2, 44_100), (5, 48_000)])
def test_other_files_are_no_stem_files(tmp_path, streams, rate):
    with pytest.raises(AudioFileError, match=r"song\.mp4"):
        demo_song.true_stems(_stem_file(tmp_path / "song.mp4", streams, rate))
    text = tmp_path / "text.mp4"
    text.write_text("no sound")
    with pytest.raises(AudioFileError, match="cannot decode"):
        demo_song.true_stems(text)


@pytest.mark.network
def test_the_genuine_song(cache):
    stems = demo_song.true_stems(demo_song.fetch())
    assert demo_song.is_there()
    from rtsep.files.reader import AudioReader

    with AudioReader(cache) as reader:
        mixture = np.concatenate(list(reader.blocks(65_536)))
    assert len(mixture) == len(stems["vocals"])
    # The master is not the sum of its stems, but not far from it.
    assert sdr_db(stems["vocals"] + stems["accompaniment"], mixture) > 15


def test_without_a_place_for_downloads_that_is_said(cache, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    with pytest.raises(RtsepError, match=r"^cannot fetch stempeg.*name a file of your own$"):
        demo_song.fetch()

"""The loop from file to stems, with a separator whose result is known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtsep.errors import AudioFileError, UsageError
from rtsep.offline.separate_file import separate_file
from tests.files.sounds import cut_short, music, read_file, write_file
from tests.offline.gain_separator import GainSeparator

GAINS = {"loud": 0.75, "quiet": 0.25}


def targets(folder: Path, extension: str = "wav") -> dict[str, Path]:
    return {stem: folder / f"{stem}.{extension}" for stem in GAINS}


def separate(source: Path, folder: Path, gain: float = 1.0, **options: Any):
    separator: Any = GainSeparator(GAINS, gain)
    return separate_file(separator, source, targets(folder), **options)


@pytest.mark.parametrize(("channels", "rate"), [(1, 44_100), (2, 44_100), (2, 48_000)])
def test_stems_are_as_long_as_the_source_and_in_its_format(tmp_path, channels, rate):
    sound = music(6.0, rate, channels)
    source = write_file(tmp_path / "song.wav", sound, rate)
    report = separate(source, tmp_path / "out", bit_depth="float")
    for stem in GAINS:
        assert soundfile.info(tmp_path / "out" / f"{stem}.wav").samplerate == rate
        assert np.array_equal(
            read_file(tmp_path / "out" / f"{stem}.wav"), sound * np.float32(GAINS[stem])
        )
    assert report.targets == targets(tmp_path / "out")
    assert (report.source_channels, report.channels) == (channels, channels)
    assert (report.sample_rate, report.stored_rate) == (rate, rate)
    assert report.duration_s == 6.0
    assert 0 < report.first_output_s <= report.elapsed_s
    assert report.times_real_time == pytest.approx(6.0 / report.elapsed_s)
    assert report.clipping == {}


def test_the_separator_is_given_the_format_of_the_source(tmp_path):
    separator: Any = GainSeparator(GAINS)
    source = write_file(tmp_path / "song.wav", music(0.5, 48_000, 1), 48_000)
    separate_file(separator, source, targets(tmp_path / "out"))
    assert separator.formats == [(48_000, 1)]


def test_a_part_of_the_source(tmp_path):
    sound = music(3.0)
    source = write_file(tmp_path / "song.wav", sound)
    separate(source, tmp_path, bit_depth="float", start_s=1.0, duration_s=0.5)
    assert np.array_equal(read_file(tmp_path / "loud.wav"), sound[44_100:66_150] * np.float32(0.75))


def test_stems_that_are_not_wanted_are_not_written(tmp_path):
    separator: Any = GainSeparator(GAINS)
    source = write_file(tmp_path / "song.wav", music(0.5))
    separate_file(separator, source, {"quiet": tmp_path / "out" / "quiet.flac"}, format="flac")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quiet.flac"]
    with pytest.raises(UsageError, match="name at least one stem's file"):
        separate_file(separator, source, {})


def test_output_grows_while_the_source_is_being_read(tmp_path):
    source = write_file(tmp_path / "song.wav", music(12.0))
    lengths = []

    def look(done_s: float, expected_s: float | None) -> None:
        assert expected_s == 12.0
        (part,) = (tmp_path / "out").glob(".loud.wav.*.part")
        lengths.append((done_s, part.stat().st_size))

    separate(source, tmp_path / "out", on_progress=look)
    written_s = [done_s for done_s, _length in lengths]
    assert written_s == sorted(written_s)
    assert written_s[-1] == 12.0
    for done_s, length in lengths:
        # 16 bit, two channels, a header, and what libsndfile may hold back.
        assert length >= done_s * 44_100 * 4 - 8192
    assert len(set(written_s)) >= 5


def test_clipping_is_reported_by_stem(tmp_path):
    sound = np.full((1000, 2), 0.5, np.float32)
    source = write_file(tmp_path / "song.wav", sound)
    report = separate(source, tmp_path, gain=4.0)
    assert set(report.clipping) == {"loud"}
    assert report.clipping["loud"].samples == 2000
    assert report.clipping["loud"].peak_dbfs == pytest.approx(20 * np.log10(1.5))
    assert separate(source, tmp_path, gain=4.0, bit_depth="float").clipping == {}


@pytest.mark.parametrize("problem", ["cut short", "NaN", "interrupted"])
def test_after_a_failure_the_old_stems_stand_and_no_part_is_left(tmp_path, problem):
    sound = music(8.0)
    on_progress = None
    if problem == "NaN":
        sound[300_000] = np.nan
    source = write_file(
        tmp_path / "song.flac" if problem == "cut short" else tmp_path / "s.wav", sound
    )
    if problem == "cut short":
        cut_short(source)
    if problem == "interrupted":

        def on_progress(done_s: float, expected_s: float | None) -> None:
            if done_s > 3:
                raise KeyboardInterrupt

    folder = tmp_path / "out"
    folder.mkdir()
    for target in targets(folder).values():
        target.write_bytes(b"the old one")
    expected = KeyboardInterrupt if problem == "interrupted" else AudioFileError
    with pytest.raises(expected):
        separate(source, folder, strict=True, on_progress=on_progress)
    assert sorted(path.name for path in folder.iterdir()) == ["loud.wav", "quiet.wav"]
    assert all(target.read_bytes() == b"the old one" for target in targets(folder).values())
    with pytest.raises(expected):
        separate(source, tmp_path / "new", strict=True, on_progress=on_progress)
    assert not (tmp_path / "new").exists()


def test_if_one_stem_cannot_be_written_none_is(tmp_path):
    source = write_file(tmp_path / "song.wav", music(1.0))
    (tmp_path / "out" / "quiet.wav").mkdir(parents=True)
    with pytest.raises(AudioFileError, match=r"cannot write .*quiet\.wav: it is a folder"):
        separate(source, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quiet.wav"]

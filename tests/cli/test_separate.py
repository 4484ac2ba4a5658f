"""`rtsep-separate` as a user meets it: arguments, files, messages, exit status."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.cli import separate
from rtsep.cli.separate import main
from tests.files.sounds import cut_short, encode, music, read_file, signal_to_noise_db, write_file
from tests.offline.gain_separator import GainSeparator


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder with `song.wav` in it; its other songs are made by the tests."""
    monkeypatch.chdir(tmp_path)
    write_file(tmp_path / "song.wav", music(1.0))
    return tmp_path


@pytest.fixture
def no_model(monkeypatch):
    """Fail the test if a model is loaded: what it is about must be found out before."""

    def refuse(arguments, stems):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(separate, "_load_separator", refuse)


@pytest.fixture
def double(monkeypatch):
    """A stand-in for the networks: each stem is the sound times a factor, 0.5, 0.25, ..."""
    monkeypatch.setattr(
        separate,
        "_load_separator",
        lambda arguments, stems: GainSeparator({stem: 0.5**n for n, stem in enumerate(stems, 1)}),
    )


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


IMPOSSIBLE = {
    "": "the following arguments are required: INPUT",
    "song.wav -m spleeter:3stems": "unknown model 'spleeter:3stems': choose one of spleeter:2stems",
    "song.wav --stems drums": "spleeter:2stems has no stem 'drums': choose from vocals",
    "song.wav --stems vocals,": "spleeter:2stems has no stem ''",
    "song.wav --two-stems no_vocals": "--two-stems: spleeter:2stems has no stem 'no_vocals'",
    "song.wav --stems vocals --two-stems vocals": "not allowed with argument --stems",
    "song.wav --mask-extension none": "--mask-extension: invalid choice: 'none'",
    "song.wav --format wma": "unknown format 'wma': choose one of wav, flac",
    "song.wav --format flac --bit-depth float": "flac cannot hold bit depth float: choose 16 or 24",
    "song.wav --format mp3 --bit-depth 16": "mp3 has no bit depth: ask for none instead of 16",
    "song.wav --precision f16": "--precision: invalid choice: 'f16'",
    "song.wav --bit-depth 8": "--bit-depth: invalid choice: '8'",
    "song.wav --start -1": "--start: must be a number of seconds, 0 or more: got '-1'",
    "song.wav --start soon": "--start: must be a number of seconds, 0 or more: got 'soon'",
    "song.wav --duration 0": "--duration: must be more than 0 seconds: got '0'",
    "song.wav --duration nan": "--duration: must be a number of seconds, 0 or more: got 'nan'",
    "song.wav --jobs 0": "must be a whole number of at least 1: got '0'",
    "song.wav -f {name}.wav": "has an unknown field {name}: use {track}, {stem}, {ext}",
    "song.wav -f {track.parent}": "has an unknown field {track.parent}",
    "song.wav -f {track!r}": "has an unknown field {track!r}",
    "song.wav -f {track:>9}": "has an unknown field {track:>9}",
    "song.wav -f {track": "--filename '{track' is no pattern: ",
    "song.wav -f {stem}/": "names a folder: end it with {stem}.{ext}",
    "song.wav -f {track}.{ext}": "would both be written to separated/song.wav: put {stem} into",
    "song.wav -f ../{stem}.{ext}": "leads out of the output folder: ../x.x",
    "song.wav -f /tmp/{stem}.{ext}": "leads out of the output folder: /tmp/x.x",
    "song.wav other/song.wav": "separated/song/vocals.wav: put {folder} into --filename",
    "song.wav song.mp3": "separated/song/vocals.wav: put {trackext} into --filename",
    "song.wav a.wav -f {stem}.{ext}": "separated/vocals.wav: put {track} into --filename",
    "song.wav ./song.wav": "song.wav is given twice",
    "vocals.wav -o . -f {stem}.{ext}": "vocals of vocals.wav would replace the input vocals.wav",
}


@pytest.mark.parametrize("arguments", IMPOSSIBLE)
def test_impossible_arguments_are_told_in_one_line(folder, no_model, capsys, arguments):
    status: object
    try:
        status = main(arguments.split())
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith("rtsep-separate: error: ")
    assert captured.err.count("\n") == 1
    assert IMPOSSIBLE[arguments] in captured.err
    assert files_in(folder) == ["song.wav"]


def test_bad_inputs_are_told_before_a_model_is_loaded(folder, no_model, capsys):
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.mp3").write_text("not a song\n" * 50)
    encode(folder / "cut.m4a", music(1.0), "aac")  # its index is at the end
    cut_short(folder / "cut.m4a")
    inputs = ["missing.wav", "empty.wav", "text.mp3", "cut.m4a"]
    assert main(inputs) == 1
    lines = capsys.readouterr().err.splitlines()
    expected = ["no such file", "is empty", "is no audio file", "cut short"]
    assert len(lines) == len(inputs)
    for line, name, reason in zip(lines, inputs, expected):
        assert line.startswith("rtsep-separate: error: ")
        assert name in line
        assert reason in line
    assert not (folder / "separated").exists()


@pytest.mark.parametrize("output", ["song.wav", "song.wav/out"])
def test_an_output_that_is_no_folder_is_told(folder, no_model, capsys, output):
    assert main(["song.wav", "-o", output]) == 1
    error = capsys.readouterr().err
    assert error == f"rtsep-separate: error: cannot write to {output}: song.wav is not a folder\n"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_an_output_without_permission_is_told(folder, no_model, capsys):
    (folder / "locked").mkdir(mode=0o555)
    assert main(["song.wav", "-o", "locked/out"]) == 1
    assert "locked/out: no permission to write in locked" in capsys.readouterr().err


def test_one_failure_does_not_stop_the_others(folder, double, capsys):
    sound = music(1.0)
    sound[22_050, 0] = np.nan
    write_file(folder / "nan.wav", sound)
    cut_short(write_file(folder / "cut.flac", music(3.0)))
    write_file(folder / "last.m4a", music(1.0))
    inputs = ["song.wav", "nan.wav", "missing.wav", "cut.flac", "last.m4a"]
    assert main([*inputs, "--strict", "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    errors = captured.err.splitlines()
    assert len(errors) == 3
    assert "nan.wav has 1 sample that is no sound, the first at 0.500 s (nan)" in errors[0]
    assert "no such file: missing.wav" in errors[1]
    assert "cut.flac" in errors[2]
    assert files_in(folder / "separated") == [
        "last/accompaniment.wav", "last/vocals.wav", "song/accompaniment.wav", "song/vocals.wav",
    ]  # fmt: skip


def test_what_was_damaged_is_separated_and_told(folder, double, capsys):
    sound = music(1.0)
    sound[22_050, 0] = np.nan
    write_file(folder / "nan.wav", sound)
    cut_short(write_file(folder / "cut.flac", music(3.0)))
    assert main(["nan.wav", "cut.flac", "--quiet"]) == 0
    nan, damaged, cut = capsys.readouterr().err.splitlines()
    assert nan == (
        "rtsep-separate: warning: nan.wav has 1 sample that is no sound, the first at 0.500 s (nan):"
        " replaced by a line between the neighbours"
    )
    assert damaged.startswith("rtsep-separate: warning: cut.flac is damaged at its end, 1.")
    assert cut.startswith("rtsep-separate: warning: cut.flac is cut short: 1.")
    assert np.isfinite(read_file(folder / "separated" / "nan" / "vocals.wav")).all()


def test_a_track_can_be_chosen(folder, double, capsys):
    encode(folder / "two.mkv", music(1.0), "flac", tracks=2)
    assert main(["two.mkv", "--quiet"]) == 0
    note = (
        "rtsep-separate: note: two.mkv has 2 audio tracks: number 2 is taken, no track was chosen"
    )
    assert capsys.readouterr().err == note + "\n"
    second = read_file(folder / "separated" / "two" / "vocals.wav")
    assert main(["two.mkv", "--track", "1", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    first = read_file(folder / "separated" / "two" / "vocals.wav")
    assert np.abs(second - 2 * first).max() < 1e-3
    assert main(["two.mkv", "--track", "3", "--quiet"]) == 1
    assert capsys.readouterr().err.endswith("two.mkv has no audio track 3: it has 2\n")


def test_a_bad_name_is_named_and_the_others_are_done(folder, double, capsys):
    assert main(["", "...mp3", "song.wav", "--quiet"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "rtsep-separate: error: an input's name is empty: name a file",
        "rtsep-separate: error: --filename '{track}/{stem}.{ext}' leads out of the output folder for"
        " ...mp3: ../vocals.wav",
    ]
    assert files_in(folder) == [
        "separated/song/accompaniment.wav", "separated/song/vocals.wav", "song.wav",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["vocals.wav.part", ".vocals.wav.part"])
def test_an_input_that_is_named_like_a_temporary_file_stays(folder, double, name):
    (folder / "song.wav").rename(folder / name)
    before = (folder / name).read_bytes()
    assert main([name, "-o", ".", "-f", "{stem}.{ext}", "--quiet"]) == 0
    assert (folder / name).read_bytes() == before
    assert files_in(folder) == sorted([name, "accompaniment.wav", "vocals.wav"])


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_inputs_are_known_by_all_their_names(folder, no_model, capsys):
    os.link("song.wav", "hard.wav")
    (folder / "soft.wav").symlink_to("song.wav")
    (folder / "one").mkdir()
    (folder / "two").symlink_to("one")
    for words in ("song.wav -f hard.wav", "song.wav -f soft.wav"):
        assert main([*words.split(), "-o", ".", "--stems", "vocals"]) == 2
        assert "vocals of song.wav would replace the input song.wav" in capsys.readouterr().err
    for name in ("one.wav", "two.wav"):
        write_file(folder / name, music(0.1))
    assert main(["one.wav", "two.wav", "-o", "."]) == 2
    assert "would both be written to two/vocals.wav" in capsys.readouterr().err


def test_the_report_says_where_the_stems_are_and_how_fast_it_was(folder, double, capsys):
    assert main(["song.wav", "-o", "out"]) == 0
    captured = capsys.readouterr()
    first, *stems = captured.out.splitlines()
    assert re.fullmatch(
        r"song\.wav: 0:01 of sound in \d+\.\d s, \d+\.\d times faster than real time, nets in f32",
        first,
    )
    assert [line.split() for line in stems] == [
        ["vocals", "out/song/vocals.wav"],
        ["accompaniment", "out/song/accompaniment.wav"],
    ]
    assert captured.err.splitlines() == ["song.wav: 100 %, 0:00 to go"]


def test_names_follow_the_pattern(folder, double):
    (folder / "album").mkdir()
    write_file(folder / "album" / "b [x] {y}.mp3", music(0.5))
    pattern = "{folder}-{track}-{trackext}/{model}/{stem}.{ext}"
    arguments = ["album/b [x] {y}.mp3", "-o", "out", "-f", pattern, "--format", "flac", "--quiet"]
    assert main(arguments) == 0
    assert files_in(folder / "out") == [
        f"album-b [x] {{y}}-mp3/spleeter-2stems/{stem}.flac" for stem in ("accompaniment", "vocals")
    ]


@pytest.mark.parametrize(
    ("options", "stems"),
    [
        ("", ["vocals", "accompaniment"]),
        ("--stems accompaniment", ["accompaniment"]),
        ("--stems accompaniment,vocals,accompaniment", ["accompaniment", "vocals"]),
        ("--stems no_vocals,vocals", ["no_vocals", "vocals"]),
        ("--two-stems vocals", ["vocals", "no_vocals"]),
        ("-m spleeter:4stems", ["vocals", "drums", "bass", "other"]),
        ("-m spleeter:4stems --two-stems drums", ["drums", "no_drums"]),
        ("-m spleeter:5stems-16kHz --stems piano", ["piano"]),
    ],
)
def test_stems_are_those_asked_for(folder, double, options, stems):
    assert main(["song.wav", "--quiet", *options.split()]) == 0
    assert files_in(folder / "separated" / "song") == sorted(f"{stem}.wav" for stem in stems)


def test_format_depth_and_part(folder, double):
    options = ["--bit-depth", "24", "--format", "FLAC", "--start", "0.25", "--duration", "0.5"]
    assert main(["song.wav", "--quiet", *options]) == 0
    info = soundfile.info(folder / "separated" / "song" / "vocals.flac")
    assert (info.subtype, info.frames) == ("PCM_24", 22_050)
    result = read_file(folder / "separated" / "song" / "vocals.flac")
    assert signal_to_noise_db(result, 0.5 * music(1.0)[11_025:33_075]) > 90


def test_what_is_not_kept_is_said(folder, double, capsys):
    loud = np.full((30_000, 6), 2.5, np.float32)
    write_file(folder / "six.wav", loud)
    assert main(["six.wav", "--quiet"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "rtsep-separate: note: six.wav has 6 channels: mixed down to stereo",
        "rtsep-separate: warning: vocals of six.wav: peaks at +1.9 dBFS were clipped:"
        " use --bit-depth float",
    ]
    assert main(["song.wav", "--quiet", "--format", "opus"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "rtsep-separate: note: opus cannot hold 44100 Hz: the stems of song.wav are at 48000 Hz"
    ]


def test_names_that_would_break_a_line_are_escaped(folder, double, capsys):
    name = "two\nlines\x1b[31m.wav"
    write_file(folder / name, music(0.5))
    assert main([name, "gone\n.wav"]) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        r"two\nlines\x1b[31m.wav: 100 %, 0:00 to go",
        r"rtsep-separate: error: no such file: gone\n.wav",
    ]
    assert captured.out.count("\n") == 3

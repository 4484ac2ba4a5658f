"""What is written is held against what is read, and against each other."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rtsep.cli import collisions
from rtsep.cli.collisions import Output, check_collisions, check_given_once, check_place
from rtsep.errors import AudioFileError, UsageError

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"sound")
    (tmp_path / "real").mkdir()
    return tmp_path


def check(inputs, *outputs):
    check_collisions(
        [Path(path) for path in inputs],
        [Output(Path(path), f"<{path}>", lambda other: "choose another") for path in outputs],
    )


@needs_links
def test_an_input_is_known_by_all_its_names(folder):
    os.link("a.wav", "hard.wav")
    Path("soft.wav").symlink_to("a.wav")
    Path("loop").symlink_to("loop")
    Path("way").symlink_to(".")
    for path in ("a.wav", "real/../a.wav", folder / "a.wav", "hard.wav", "soft.wav", "way/a.wav"):
        with pytest.raises(UsageError, match=r"would replace the input a\.wav: choose another"):
            check(["a.wav"], path)
    check(["a.wav"], "b.wav", "real/a.wav", "loop/a.wav")


@needs_links
def test_an_output_is_known_by_all_its_names(folder):
    Path("link").symlink_to("real")
    for one, other in (
        ("x.wav", "./x.wav"),
        ("real/x.wav", "link/x.wav"),
        ("real/new/x.wav", "link/new/x.wav"),
    ):
        with pytest.raises(UsageError, match="would both be written to"):
            check(["a.wav"], one, other)
    check(["a.wav"], "x.wav", "y.wav", "real/x.wav")


def test_an_output_is_no_folder_of_another(folder):
    with pytest.raises(UsageError, match="<r> and the folder of <r/s/x.wav> would both be r"):
        check([], "r", "r/s/x.wav")
    check([], "r/s/y.wav", "r/s/x.wav")


@pytest.mark.parametrize("ignores", [True, False])
def test_capitals_make_another_file_where_the_system_says_so(folder, monkeypatch, ignores):
    monkeypatch.setattr(collisions, "_ignores_case", lambda folder: ignores)
    if not ignores:
        check([], "new/Song.wav", "new/song.WAV")
        return
    with pytest.raises(UsageError, match="would both be written to"):
        check([], "new/Song.wav", "new/song.WAV")


def test_whether_capitals_count_is_found_out(tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    same = (tmp_path / "LETTERS").exists()
    assert collisions._ignores_case(folder) is same


def test_an_input_is_named_once(folder):
    check_given_once([Path("a.wav"), Path("b.wav")])
    with pytest.raises(UsageError, match="a.wav is given twice"):
        check_given_once([Path("a.wav"), Path("real/../a.wav")])


@pytest.mark.parametrize(
    ("place", "reason"),
    [("real", "it is a folder"), ("a.wav/x.wav", "a.wav is not a folder"), (os.devnull, "device")],
)
def test_places_that_cannot_be_written_are_told(folder, place, reason):
    with pytest.raises(AudioFileError, match=reason):
        check_place(Path(place))
    check_place(Path("new/x.wav"))
    assert not Path("new").exists()

"""Which recordings names stand for."""

from __future__ import annotations

import os
import random
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtsep.batch.inputs import Found, Input, find_inputs, read_list, shard
from rtsep.errors import UsageError


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A working folder with music in it."""
    for name in (
        "m/a.MP3", "m/x/b.wav", "m/x/y/c.flac", "m/x/cover.png", "m/.hidden.wav", "m/.git/d.wav",
        "m/[1]/e.ogg", "list/f.wav",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sound")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(found: Found) -> list[tuple[str, str]]:
    return [
        (Path(entry.name).as_posix(), entry.tree.replace(os.sep, "/")) for entry in found.inputs
    ]


IN_M = [("m/a.MP3", ""), ("m/[1]/e.ogg", "[1]"), ("m/x/b.wav", "x"), ("m/x/y/c.flac", "x/y")]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (["m"], IN_M),
        (["m", "m/x", "m/a.MP3"], IN_M),
        (["m/x/b.wav", "list/f.wav"], [("m/x/b.wav", ""), ("list/f.wav", "")]),
        (["m/**"], IN_M),
        (["m/*/*.wav"], [("m/x/b.wav", "x")]),
        (["m/x/*.wav"], [("m/x/b.wav", "")]),
        (["m/[1]"], [("m/[1]/e.ogg", "")]),
        (
            ["*"],
            [("list/f.wav", "list"), *((name, f"m/{tree}".rstrip("/")) for name, tree in IN_M)],
        ),
        (["gone.wav"], [("gone.wav", "")]),
    ],
)
def test_names_folders_and_wildcards(tree, asked, expected):
    found = find_inputs(asked)
    assert (sorted(names(found)), found.failures) == (sorted(expected), [])


def test_what_stands_for_nothing_is_told_and_the_rest_is_found(tree):
    (tree / "empty").mkdir()
    found = find_inputs(["none*.wav", "empty", "m/x"])
    assert [failure.split(": ")[0] for failure in found.failures] == [
        "no file is called none*.wav", "empty is a folder without files of sound",
    ]  # fmt: skip
    assert names(found) == [("m/x/b.wav", ""), ("m/x/y/c.flac", "y")]
    assert found.left_out == 1


def test_excluded_by_name_or_path_and_the_output_is_not_looked_into(tree):
    assert names(find_inputs(["m"], exclude=["x/*"])) == [("m/a.MP3", ""), ("m/[1]/e.ogg", "[1]")]
    assert names(find_inputs(["m"], exclude=["b.*", "e.ogg", "a*"])) == [("m/x/y/c.flac", "x/y")]
    assert names(find_inputs(["m"], without="m/x", exclude=["*.MP3"])) == [("m/[1]/e.ogg", "[1]")]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_folders_that_contain_themselves_end(tree):
    (tree / "m" / "x" / "loop").symlink_to("..")
    (tree / "elsewhere").symlink_to("m")
    assert sorted(names(find_inputs(["m"]))) == sorted(IN_M)
    assert len(find_inputs(["elsewhere"]).inputs) == len(IN_M)


def test_lists_keep_the_folders_that_they_name(tree):
    relative = ["m/x/b.wav", "./m/x/y/c.flac", "list"]
    assert names(find_inputs([], relative)) == [
        ("m/x/b.wav", "m/x"), ("m/x/y/c.flac", "m/x/y"), ("list/f.wav", "list"),
    ]  # fmt: skip
    absolute = [str(tree / "m" / "x" / "b.wav"), str(tree / "m" / "a.MP3")]
    assert [entry.tree for entry in find_inputs([], absolute).inputs] == ["x", ""]


def test_a_list_has_lines_or_zero_bytes():
    assert read_list(b"a b.wav\r\n\nc.wav\n", "l") == ["a b.wav", "c.wav"]
    assert read_list(b"a\nb.wav\0c.wav\0", "l") == ["a\nb.wav", "c.wav"]
    assert os.fsencode(read_list(b"\xff.wav", "l")[0]) == b"\xff.wav"
    with pytest.raises(UsageError, match="l names no file"):
        read_list(b"\n \n", "l")


@given(st.lists(st.text(string.printable + "é🎵", min_size=1), unique=True), st.integers(1, 9))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_shards_are_a_partition_that_others_do_not_change(found, count):
    inputs = [Input(f"/{name}", "cd") for name in found]
    parts = [shard(inputs, number, count) for number in range(1, count + 1)]
    assert sorted(entry.name for part in parts for entry in part) == sorted(e.name for e in inputs)
    half = inputs[::2]
    assert [shard(half, n, count) for n in range(1, count + 1)] == [
        [entry for entry in part if entry in half] for part in parts
    ]


def test_shards_are_of_about_one_size():
    dice = random.Random(1)
    inputs = [Input(f"{dice.random()}.wav") for _ in range(4000)]
    assert all(900 < len(shard(inputs, n, 4)) < 1100 for n in range(1, 5))

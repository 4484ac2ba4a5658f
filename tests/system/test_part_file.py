"""Files appear whole or not at all, whoever else writes there."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from rtsep.system import part_file
from rtsep.system.part_file import (
    PartFile,
    commit_together,
    killed_parts,
    remove_leftovers,
    write_whole,
)


def begin(path, content=b"new"):
    part = PartFile(path)
    part.temporary.write_bytes(content)
    return part


def test_the_loser_is_told_and_leaves_the_winners_file(tmp_path):
    target = tmp_path / "song" / "vocals.wav"
    first, second = begin(target, b"first"), begin(target, b"second")
    assert first.temporary != second.temporary
    first.commit()
    with pytest.raises(FileExistsError, match="another program has written that file meanwhile"):
        second.commit()
    second.discard()
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [
        ("vocals.wav", b"first")
    ]


@pytest.mark.parametrize("claimed", [0, 1])
def test_all_take_their_names_or_none(tmp_path, claimed):
    targets = [tmp_path / "vocals.wav", tmp_path / "drums.wav"]
    for target in targets:
        target.write_bytes(b"old")
    parts = [begin(target) for target in targets]
    write_whole(targets[claimed], lambda file: file.write(b"of another run"))
    with pytest.raises(FileExistsError) as caught:
        commit_together(parts)
    assert caught.value.filename == targets[claimed]
    assert [target.read_bytes() for target in targets].count(b"old") == 1
    assert targets[claimed].read_bytes() == b"of another run"


def test_what_stood_there_at_the_beginning_is_replaced_or_may_have_gone(tmp_path):
    target = tmp_path / "vocals.wav"
    for content in (b"first", b"second"):
        begin(target, content).commit()
        assert target.read_bytes() == content
    part = begin(target, b"third")
    target.unlink()
    part.commit()
    assert target.read_bytes() == b"third"


def test_of_many_at_once_exactly_one_wins(tmp_path, monkeypatch):
    check = PartFile._check_unclaimed

    def check_slowly(part):
        check(part)
        time.sleep(0.01)  # the others would get in between

    monkeypatch.setattr(PartFile, "_check_unclaimed", check_slowly)
    targets = [tmp_path / name for name in ("vocals.wav", "drums.wav", "bass.wav")]
    runs = [[begin(target, b"%d" % run) for target in targets] for run in range(8)]
    won = []
    gate = threading.Barrier(len(runs))

    def commit(run):
        gate.wait()
        try:
            commit_together(runs[run])
        except FileExistsError:
            return
        won.append(run)

    threads = [threading.Thread(target=commit, args=(run,)) for run in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert {target.read_bytes() for target in targets} == {b"%d" % won[0]}


def test_files_that_are_named_like_temporary_ones_are_left_alone(tmp_path):
    names = ["vocals.wav.part", ".vocals.wav.part", f".vocals.wav.{os.getpid()}.part"]
    for name in names:
        (tmp_path / name).write_bytes(b"the user's")
    begin(tmp_path / "vocals.wav").commit()
    begin(tmp_path / "vocals.wav").discard()
    assert all((tmp_path / name).read_bytes() == b"the user's" for name in names)


def test_what_a_killed_run_left_does_not_block_the_next(tmp_path):
    killed = begin(tmp_path / "vocals.wav", b"half")
    assert killed_parts(tmp_path / "vocals.wav") == [killed.temporary]
    begin(tmp_path / "vocals.wav").commit()
    assert (tmp_path / "vocals.wav").read_bytes() == b"new"


def test_folders_are_made_and_go_again_but_for_what_others_put_there(tmp_path):
    first, second = (begin(tmp_path / "a" / "b" / f"{n}.wav") for n in (1, 2))
    first.discard()
    assert second.temporary.exists()
    remove_leftovers()
    assert (tmp_path / "a" / "b").is_dir()  # the second run has found it: it is not its to remove
    os.rmdir(tmp_path / "a" / "b")
    third = begin(tmp_path / "a" / "b" / "3.wav")
    third.discard()
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


def test_a_folder_that_another_run_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    real_open = type(tmp_path).open
    removed = []

    def remove_first(path, mode):
        if not removed:
            removed.append(path.parent.rmdir())
        return real_open(path, mode)

    monkeypatch.setattr(type(tmp_path), "open", remove_first)
    part = PartFile(tmp_path / "new" / "x.wav")
    assert removed
    assert part.temporary.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real.wav").write_bytes(b"old")
    (tmp_path / "link.wav").symlink_to("real.wav")
    begin(tmp_path / "link.wav").commit()
    assert (tmp_path / "link.wav").is_symlink()
    assert (tmp_path / "real.wav").read_bytes() == b"new"
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    with pytest.raises(OSError, match=r"symbolic links|device or a pipe"):
        PartFile(tmp_path / "loop.wav")
    (tmp_path / "folder").symlink_to("folder")
    with pytest.raises(OSError):
        PartFile(tmp_path / "folder" / "x.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(OSError, match="device or a pipe"):
            PartFile(type(tmp_path)(path))
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_whole(tmp_path / "pipe", lambda file: file.write(b"{}"))
    reader.join()
    assert read == [b"{}"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_write_protected_file_is_told_at_the_beginning(tmp_path, monkeypatch):
    (tmp_path / "x.wav").write_bytes(b"old")
    monkeypatch.setattr(part_file.os, "access", lambda path, mode: False)  # root may write anything
    with pytest.raises(PermissionError, match="write-protected"):
        PartFile(tmp_path / "x.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_names_as_long_as_the_system_allows_can_be_written(tmp_path):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 200
    begin(tmp_path / ("x" * longest)).commit()
    begin(tmp_path / ("ß" * (longest // 2))).commit()
    with pytest.raises(OSError):
        PartFile(tmp_path / ("x" * (longest + 1)))
    assert len(list(tmp_path.iterdir())) == 2

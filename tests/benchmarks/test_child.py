"""Children run the code that their parent runs, and say in one line why they failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rtsep.errors import RtsepError
from rtsep_bench import child, offline_child
from rtsep_bench.offline_child import measure_start_up


def test_a_child_imports_what_its_parent_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what lies in the current folder: the same file, whatever is called like it there."""
    impostor = tmp_path / "here" / "rtsep_bench"
    impostor.mkdir(parents=True)
    (impostor / "__init__.py").write_text("")
    (impostor / "asked.py").write_text("print('impostor')")
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "asked_of_child.py").write_text(
        "import sys, rtsep_bench\nprint(rtsep_bench.__file__, *sys.argv[1:])"
    )
    monkeypatch.syspath_prepend(str(installed))
    words = child.command("asked_of_child", "two words")
    done = subprocess.run(words, cwd=impostor.parent, capture_output=True, text=True, check=True)
    import rtsep_bench

    assert done.stdout.split(maxsplit=1) == [rtsep_bench.__file__, "two words\n"]


def test_no_program_is_left_where_one_does_not_begin() -> None:
    good = child.command("rtsep_bench.busy")
    started: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen):
        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            started.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child.subprocess, "Popen", Noted)
        with pytest.raises(RtsepError, match="a load did not start: exit status 1, .*no_such"):
            child.start_beside([good, child.command("no_such_module")], "a load")
        with pytest.raises(FileNotFoundError):
            child.start_beside([good, ["no-such-program"]], "a load")
    assert len(started) == 3
    assert all(program.poll() is not None for program in started)


def test_a_start_up_that_is_not_measured_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RtsepError, match=r"start-up of spleeter:2stems failed: .*none\.npy"):
        measure_start_up("spleeter:2stems", tmp_path / "none.npy", 1, "f32")
    # A program that ends well and has separated nothing.
    monkeypatch.setattr(offline_child, "MODULE", "this")
    with pytest.raises(RtsepError, match="start-up of spleeter:2stems failed: exit status 0"):
        measure_start_up("spleeter:2stems", tmp_path / "none.npy", 1, "f32")

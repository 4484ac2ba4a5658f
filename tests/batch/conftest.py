"""What the tests of many files share: a library of made-up recordings, workers without networks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtsep.batch import worker_process
from tests.files.sounds import music, write_file

REPOSITORY = Path(__file__).parents[2]
GAIN_WORKER = (
    f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import runpy;"
    " runpy.run_module('tests.batch.gain_worker', run_name='__main__')"
)


@pytest.fixture
def gains(monkeypatch, made_up_weights):
    """Workers halve the sound, in place of running networks."""
    monkeypatch.setattr(
        worker_process, "command", lambda module: [sys.executable, "-c", GAIN_WORKER]
    )


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A working folder with a folder of three recordings in it."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a.wav", "cd 1/b.wav", "cd 1/c.flac"), 1):
        path = tmp_path / "library" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, music(0.2 * number, seed=number))
    return tmp_path / "library"


def files_below(folder: Path) -> list[str]:
    """Every file below a folder, by its path in it."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )

"""Worker processes as such: started one after another, replaced, refused, ended."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest

from rtsep.batch import worker_process
from rtsep.batch.settings import BatchSettings
from rtsep.batch.task import Task
from rtsep.batch.worker_pool import WorkerPool
from rtsep.batch.worker_process import Limits
from rtsep.errors import RtsepError
from tests.files.sounds import music, write_file

SETTINGS = BatchSettings("spleeter:2stems", ("vocals", "accompaniment"))


@pytest.fixture
def pool_of(request):
    """Makes pools that end with the test."""

    def make(workers: int, **limits) -> WorkerPool:
        pool = WorkerPool(SETTINGS, workers, "test", Limits(4, **limits))
        request.addfinalizer(pool.close)
        return pool

    return make


def until(pool: WorkerPool, reached) -> list:
    """Wait until `reached()`; return the outcomes of all tasks that ended meanwhile."""
    outcomes = []
    deadline_s = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < deadline_s
        outcomes += pool.wait(0.1)
    return outcomes


def task(folder: Path, name: str) -> Task:
    source = write_file(folder / f"{name}.wav", music(0.05))
    targets = {stem: str(folder / name / f"{stem}.wav") for stem in SETTINGS.stems}
    return Task("separate", str(source), targets, size_bytes=source.stat().st_size)


def test_the_first_loads_alone_and_all_end_with_the_pool(pool_of, gains):
    pool = pool_of(3)
    assert len(pool.processes) == 1
    until(pool, lambda: pool.room() == 3)
    processes = pool.processes
    assert len({process.pid for process in processes}) == 3
    pool.close()
    assert all(process._process.poll() is not None for process in processes)


def test_one_that_has_grown_is_replaced_after_its_task(pool_of, gains, tmp_path):
    pool = pool_of(1)
    until(pool, lambda: pool.room() == 1)
    (before,) = pool.processes
    pool.submit(7, task(tmp_path, "plain"))
    outcomes = until(pool, lambda: pool.room() == 1)
    assert [number for number, outcome in outcomes if outcome.error is None] == [7]
    assert pool.processes == (before,)
    pool.submit(8, task(tmp_path, "leak"))
    outcomes = until(pool, lambda: pool.processes != (before,))
    outcomes += until(pool, lambda: pool.room() == 1)
    assert [(number, outcome.error) for number, outcome in outcomes] == [(8, None)]
    before._process.wait(30)


def test_one_that_dies_is_replaced_and_its_task_has_failed(pool_of, gains, tmp_path):
    pool = pool_of(2)
    until(pool, lambda: pool.room() == 2)
    pool.submit(1, task(tmp_path, "crash"))
    pool.submit(2, task(tmp_path, "well"))
    outcomes = dict(until(pool, lambda: pool.room() == 2))
    assert outcomes[2].error is None
    if sys.platform != "win32":
        assert "crash.wav: the worker was ended by SIGKILL" in str(outcomes[1].error)


def test_workers_that_do_not_start_end_the_run(pool_of, monkeypatch, made_up_weights):
    monkeypatch.setattr(
        worker_process, "command", lambda module: [sys.executable, "-c", "raise SystemExit(3)"]
    )
    pool = pool_of(2)
    with pytest.raises(RtsepError, match="do not start: the last one ended with status 3"):
        until(pool, lambda: False)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_told(pool_of, monkeypatch, made_up_weights, tmp_path):
    for path in made_up_weights.glob("spleeter-2stems*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "spleeter-2stems.safetensors").write_bytes(b"damaged")
    (tmp_path / "spleeter-2stems.safetensors.sha256").write_text("0" * 64)
    monkeypatch.setenv("RTSEP_WEIGHTS", str(tmp_path))
    pool = pool_of(1)
    with pytest.raises(RtsepError, match="spleeter-2stems.safetensors is damaged"):
        until(pool, lambda: False)


def test_the_time_limit_follows_the_length(monkeypatch, gains, pool_of, tmp_path):
    pool = pool_of(1)
    until(pool, lambda: pool.room() == 1)
    (process,) = pool.processes
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    for size_bytes, sound_s, limit_s in (
        (0, 100.0, 460.0),
        (400_000, None, 460.0),
        (0, None, 60.0),
    ):
        process.task = Task("separate", "a", size_bytes=size_bytes)
        process.expect(sound_s)
        assert process._deadline_s - now_s == pytest.approx(limit_s)
    process.task = None

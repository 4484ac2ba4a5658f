"""Many files on a cluster of Dask: worker processes of this machine, which are killed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from rtsep.cli.separate import main
from tests.batch.conftest import files_below
from tests.files.sounds import music, read_file, signal_to_noise_db, write_file

distributed = pytest.importorskip("distributed", reason="pip install 'rtsep[cluster]'")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]


class Doubles(distributed.WorkerPlugin):
    """Put the double into every process of a worker, also into those that replace others."""

    def setup(self, worker) -> None:
        from rtsep.batch import warm_separator
        from tests.batch.gain_worker import GainWarmSeparator

        warm_separator.WarmSeparator = GainWarmSeparator  # type: ignore[misc]


@pytest.fixture
def cluster(library, made_up_weights, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with (
        distributed.LocalCluster(
            n_workers=4, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(Doubles())
        client.wait_for_workers(4, timeout=120)
        yield client


def address(client) -> str:
    return client.scheduler.address


def test_all_is_done_although_workers_are_killed(library, cluster, capsys, monkeypatch):
    for number in range(20):
        write_file(library / f"{number}.wav", music(0.1 + 0.01 * number, seed=number))
    shutil.copy(library / "3.wav", library / "again.wav")
    (library / "text.mp3").write_text("no music\n" * 99)
    dice = random.Random(1)
    from rtsep.batch.dask_cluster import DaskCluster

    wait_really, killed = DaskCluster.wait, []

    def wait(executor, timeout_s):
        outcomes = wait_really(executor, timeout_s)
        if outcomes and len(killed) < 2:
            pids = sorted(set(cluster.run(os.getpid, on_error="ignore").values()) - set(killed))
            if pids:  # else the last one's successor is not there yet
                killed.append(dice.choice(pids))
                os.kill(killed[-1], signal.SIGKILL)
        return outcomes

    monkeypatch.setattr(DaskCluster, "wait", wait)
    arguments = ["library", "-o", "out", "--journal", "j", "--scheduler", address(cluster)]
    assert main([*arguments, "--json-lines"]) == 1
    *_, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(killed) == 2
    assert (end["done"], end["duplicates"], end["failed"], end["left"]) == (23, 1, 1, 0)
    assert len(files_below(Path("out"))) == 48
    stem = read_file(Path("out/again/vocals.wav"))
    assert signal_to_noise_db(stem, 0.5 * music(0.13, seed=3)) > 50


def test_stems_are_fetched(library, cluster, capsys):
    shutil.copy(library / "a.wav", library / "again.wav")
    arguments = ["library", "-o", "out", "--scheduler", address(cluster), "--fetch", "--json-lines"]
    assert main([*arguments, "--journal", "j"]) == 0
    *lines, end = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (end["done"], end["duplicates"]) == (3, 1)
    for line in lines:
        for output in line["outputs"].values():
            assert Path(output["file"]).stat().st_size == output["bytes"]
    stem = read_file(Path("out/cd 1/b/vocals.wav"))
    assert signal_to_noise_db(stem, 0.5 * music(0.4, seed=2)) > 50


def test_a_scheduler_that_is_not_there_is_told(library, made_up_weights, capsys, monkeypatch):
    from rtsep.batch import dask_cluster

    monkeypatch.setattr(dask_cluster, "CONNECT_S", 1.0)
    assert main(["library", "-o", "out", "--scheduler", "tcp://127.0.0.1:9"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no scheduler of Dask answers at tcp://127.0.0.1:9" in line


def test_a_scheduler_that_goes_is_told(library, made_up_weights, capsys, monkeypatch):
    from rtsep.batch.dask_cluster import DaskCluster

    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        # No worker: what is submitted waits.
        monkeypatch.setattr(DaskCluster, "room", lambda executor: 1 - len(executor._futures))
        wait_really, began_s = DaskCluster.wait, time.monotonic()

        def wait(executor, timeout_s):
            if time.monotonic() - began_s < 60:
                cluster.close()
            return wait_really(executor, timeout_s)

        monkeypatch.setattr(DaskCluster, "wait", wait)
        arguments = [
            "library",
            "-o",
            "out",
            "--journal",
            "j",
            "--scheduler",
            cluster.scheduler_address,
        ]
        assert main([*arguments, "--quiet"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert "no worker has joined the cluster" in errors[0]
    assert "has gone: start it again, then this with the same journal" in errors[-1]

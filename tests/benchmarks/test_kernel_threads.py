"""What holds the machine up: threads of the kernel that ran meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtsep.errors import RtsepError
from rtsep_bench import kernel_threads as module
from rtsep_bench.kernel_threads import KernelThreads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def test_what_ran_for_most_of_a_stall_held_the_machine_up():
    kernel = KernelThreads()
    kernel.runs = [
        (10.0, 10.05, "kdamond.0", 0.008),
        (10.0, 10.05, "kcompactd0", 0.002),
        (10.05, 10.1, "khugepaged", 0.011),
    ]
    assert kernel.held_up(10.04, 0.009) == "kdamond.0"
    assert kernel.held_up(10.055, 0.012) == "khugepaged"
    assert kernel.held_up(10.04, 0.017) == "", "it ran for less than half of that"
    assert kernel.held_up(10.2, 0.009) == "", "none ran then"


def test_the_time_that_a_thread_has_run_is_followed(monkeypatch):
    """A child of this program stands for one of the kernel's, which are busy when they like."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        monkeypatch.setattr(module, "KTHREADD", os.getpid())
        files = {}
        module._look_for_new(files)
        name, file = files[Path(f"/proc/{busy.pid}")]
        assert name.startswith("python")
        before_s, until_s = module._ran_s(file), time.monotonic() + 30.0
        while module._ran_s(file) < before_s + 0.05:
            assert time.monotonic() < until_s, "it does not get on"
            time.sleep(0.01)
    finally:
        busy.kill()
        busy.wait()
    assert module._ran_s(file) == 0.0
    for _, opened in files.values():
        os.close(opened)


def test_it_runs_beside_and_tells_at_the_end():
    with KernelThreads() as kernel:
        time.sleep(0.2)
    assert all(begun_s < ended_s and ran_s > 0 for begun_s, ended_s, _, ran_s in kernel.runs)


def test_where_it_does_not_start_that_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "MODULE", "rtsep_bench.nothing_of_that_name")
    told = pytest.raises(RtsepError, match="kernel's threads did not start: .*nothing_of_that")
    with told, KernelThreads():
        pytest.fail("measured without it")

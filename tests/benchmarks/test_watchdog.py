"""The watchdog: late masks beside stalls of the machine, and programs of its own that fail."""

import os
import signal
import time

import pytest

from rtsep.errors import RtsepError
from rtsep_bench import watchdog as module
from rtsep_bench.watchdog import Watchdog


def test_late_masks_beside_long_stalls_are_counted():
    watch = Watchdog()
    # Over at 10 and 20 s; with a deadline of 20 ms a stall is long from 4 ms on.
    watch.delays = [(10.0, 0.003), (20.0, 0.005)]
    seen = [(10.1, 7), (19.9, 1), (20.0, 2), (20.4, 3), (20.6, 5)]
    assert watch.figures(0.02, seen) == {
        "stalls": 1, "longest_stall_ms": pytest.approx(5), "late_masks_beside_stalls": 5,
    }  # fmt: skip


def test_a_machine_that_was_not_watched_stood_not_still():
    figures = Watchdog().figures(0.02, [(1.0, 2)])
    assert figures == {"stalls": 0, "longest_stall_ms": 0.0, "late_masks_beside_stalls": 0}


def test_what_stops_all_cores_is_told_from_what_stops_one():
    watch = Watchdog()
    watch.programs = [None, None]
    watch.delays = [(10.0, 0.006), (10.001, 0.007), (20.0, 0.009), (20.5, 0.009)]
    assert [watch.on_all_cores(over_s) for over_s, _ in watch.delays] == [True, True, False, False]
    watch.programs = [None]
    assert not watch.on_all_cores(20.0)


linux_only = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")


@linux_only
def test_a_watchdog_that_is_stopped_notes_it_on_this_program_s_clock():
    with Watchdog() as watchdog:
        stopped_s = time.monotonic()
        for program in watchdog.programs:
            program.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        for program in watchdog.programs:
            program.send_signal(signal.SIGCONT)
        time.sleep(0.1)
    assert len([over for over in watchdog.stalls(0.08) if over > stopped_s + 0.08]) >= len(
        watchdog.programs
    )


@linux_only
def test_a_watchdog_that_does_not_start_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "MODULE", "rtsep_bench.nothing_of_that_name")
    told = pytest.raises(RtsepError, match="watches the machine did not start: .*nothing_of_that")
    with told, Watchdog():
        pytest.fail("measured without its watchdog")


@linux_only
def test_a_watchdog_that_ends_early_is_an_error():
    told = pytest.raises(RtsepError, match="ended before its time: exit status -9")
    with told, Watchdog() as watchdog:
        watchdog.programs[0].kill()
    assert all(program.poll() is not None for program in watchdog.programs)


@linux_only
def test_a_watchdog_hides_no_other_failure():
    with pytest.raises(ZeroDivisionError), Watchdog() as watchdog:
        watchdog.programs[0].kill()
        raise ZeroDivisionError
    assert all(program.poll() is not None for program in watchdog.programs)

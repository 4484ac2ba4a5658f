"""`rtsep-bench faults`: how silence is measured, what is refused, and some faults on real servers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.cli import bench
from rtsep_bench import fault_machine
from rtsep_bench.fault_list import FAULTS
from rtsep_bench.fault_sound import FILTERED_RMS, is_filtered, level, longest_quiet_s
from rtsep_bench.heard import TONE_RMS, Level, tone


def run(*words: object) -> int:
    """The exit status of a run on made-up weights."""
    try:
        return bench.main(["faults", "--weights", "made-up", *map(str, words)])
    except SystemExit as error:
        assert isinstance(error.code, int)
        return error.code


def test_quiet_is_where_nothing_loud_comes_in_or_nothing_at_all() -> None:
    loud = [Level(at_s, 0.1, TONE_RMS) for at_s in np.arange(0.0, 10.0, 0.1)]
    assert longest_quiet_s(loud, 0.0, 10.0) == pytest.approx(0.1)
    stopped = [heard for heard in loud if not 4.0 < heard.came_s < 6.5]
    assert longest_quiet_s(stopped, 0.0, 10.0) == pytest.approx(2.5, abs=0.11)
    silent = [*stopped, *(Level(at_s, 0.1, 0.0) for at_s in np.arange(4.0, 6.5, 0.1))]
    assert longest_quiet_s(silent, 0.0, 10.0) == pytest.approx(2.5, abs=0.11)
    # Nothing any more is quiet, too; and so is what was over before.
    assert longest_quiet_s(loud, 0.0, 20.0) == pytest.approx(10.1, abs=0.11)
    assert longest_quiet_s(stopped, 7.0, 10.0) == pytest.approx(0.1)
    assert longest_quiet_s(loud, 0.0, 10.0, is_filtered) == 10.0


def test_what_passes_by_is_not_filtered() -> None:
    sound = tone(44_100, 0, 4410)
    assert not is_filtered(level(sound))
    assert is_filtered(level(sound * np.float32(FILTERED_RMS / TONE_RMS)))
    assert not is_filtered(level(np.full(100, np.nan, np.float32)))


def test_all_faults_are_listed(capsys) -> None:
    assert run("--list") == 0
    listed = capsys.readouterr().out
    assert all(fault.name in listed for fault in FAULTS)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize(
    "words, said",
    [
        (("--only", "earthquake"), "'earthquake'"),
        (("--servers", "alsa"), "'alsa'"),
        (("--servers", "pipewire", "--only", "clock-off"), "none of these faults"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_one_line(words, said, capsys) -> None:
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's cgroups")
def test_the_memory_of_a_program_is_taken_by_one_that_is_ended_in_its_place() -> None:
    try:
        memory = fault_machine.MemoryGroup()
    except fault_machine.NotHere as error:
        pytest.skip(str(error))
    group = Path(memory.enter[-1]).parent
    with subprocess.Popen([*memory.enter, "sleep", "60"]) as program:
        try:
            with memory.little_left(program.pid):
                time.sleep(1.0)
                assert program.poll() is None
            # The program itself is all that is left in it.
            assert (group / "cgroup.procs").read_text().split() == [str(program.pid)]
        finally:
            program.kill()
    memory.close()
    assert not group.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "server, name, least_s",
    [
        pytest.param("pulse", "another-default", 0.0, marks=pytest.mark.needs("pulse")),
        # A program that stands still is silent: the measurement would notice.
        pytest.param("pipewire", "program-stopped", 0.9, marks=pytest.mark.needs("pipewire")),
        # JACK throws such a program out.
        pytest.param("jack", "program-stopped", 0.9, marks=pytest.mark.needs("jack")),
    ],
)
def test_a_fault_is_survived(server, name, least_s, tmp_path):
    file = tmp_path / "faults.json"
    assert run("--servers", server, "--only", name, "--json", file) == 0
    (row,) = json.loads(file.read_text())["rows"]
    assert row["case"] == name and row["verdict"] == "survived"
    assert row["silence_s"] > least_s

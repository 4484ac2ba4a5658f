"""Measures what docs/many-files.md says of many files: rates, cost of a short file, memory, Dask.

    python scripts/measure_many_files.py [--songs 8] [--seconds 60] [--rounds 3] [--workers 2]

Songs are made up. Ways of doing them take turns, and the middle of the rounds counts, so that what
else the machine does changes all of them alike. Needs the extra `cluster` for Dask. Weights are those
that are installed (RTSEP_WEIGHTS).
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from rtsep.environment import cpu_name, usable_cores
from rtsep.system.child_program import command

Name = TypeVar("Name", bound=Hashable)

SHORT_S = 0.05
SHORT_FILES = 40


def main() -> int:
    """Measure, print, and end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="spleeter:2stems")
    parser.add_argument("--workers", type=int, default=usable_cores(), metavar="N")
    arguments = parser.parse_args()
    cores, workers = usable_cores(), arguments.workers
    print(f"{cpu_name()}, {cores} cores; {arguments.model}; {arguments.songs} songs of"
          f" {arguments.seconds:g} s, the middle of {arguments.rounds} rounds")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make_songs(Path("songs"), arguments.songs, arguments.seconds)
        make_songs(Path("short"), SHORT_FILES, SHORT_S)
        options = ["-m", arguments.model, "-o", "out", "--quiet"]
        one = ["--workers", "1", "--jobs", "1"]
        many = ["--workers", str(workers)]
        ways: dict[str, Callable[[list[str]], float]] = {
            "one process per file, all cores": lambda songs: each_alone(songs, options),
            "1 worker on 1 core": lambda songs: run([*songs, *options, *one], cores=1),
            f"{workers} workers": lambda songs: run([*songs, *options, *many]),
        }
        with cluster(workers) as address:
            if address is not None:
                there = ["--scheduler", address]
                run(["songs", *options, *there])  # loads the model
                ways[f"Dask, {workers} workers"] = lambda songs: run([*songs, *options, *there])
            songs = sorted(str(path) for path in Path("songs").iterdir())
            times = in_turns(
                {
                    (name, len(part)): functools.partial(way, part)
                    for name, way in ways.items()
                    for part in (songs, songs[: len(songs) // 2])
                },
                arguments.rounds,
            )
        rates = {}
        for name in ways:
            # Of the second half of the songs, when all is loaded.
            whole_s, half_s = times[name, len(songs)], times[name, len(songs) // 2]
            sound_s = arguments.seconds * (len(songs) - len(songs) // 2)
            rates[name] = sound_s / (whole_s - half_s)
            begin_s = whole_s - arguments.seconds * len(songs) / rates[name]
            print(f"{name:34} {rates[name]:6.1f} hours of music per hour, start {begin_s:.1f} s")
        one_rate, many_rate = rates["1 worker on 1 core"], rates[f"{workers} workers"]
        print(f"{workers} workers over 1 core: {many_rate / one_rate:.2f} times")
        short = in_turns(
            {
                "whole": lambda: run(["short", *options, "--workers", "1", "--jobs", "1"]),
                "half": lambda: run(
                    ["short", *options, "--workers", "1", "--jobs", "1", "--shard", "1/2"]
                ),
            },
            arguments.rounds,
        )
        print(f"a file of {SHORT_S:g} s in a worker: about"
              f" {1e3 * (short['whole'] - short['half']) / (SHORT_FILES / 2):.0f} ms")  # fmt: skip
        print(
            f"memory of {workers} workers, shared parts by their share: {memory_mb(options, workers)}"
        )
    return 0


def make_songs(folder: Path, count: int, seconds: float) -> None:
    """Write recordings of noise, each another."""
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(count):
        sound = 0.1 * random.standard_normal((round(44_100 * seconds), 2))
        soundfile.write(folder / f"{number}.flac", sound.astype(np.float32), 44_100)


def run(arguments: list[str], cores: int | None = None) -> float:
    """Run rtsep-separate to its end; return the seconds it took. cores: so many only (Linux)."""
    began_s = time.perf_counter()
    process = subprocess.Popen(command("rtsep.cli.separate", *arguments), stderr=sys.stderr)
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:cores])
    if process.wait():
        raise SystemExit(f"rtsep-separate {' '.join(arguments)} has failed")
    return time.perf_counter() - began_s


def each_alone(songs: list[str], options: list[str]) -> float:
    """One process after the other, as from a loop in a shell."""
    return sum(run([song, *options]) for song in songs)


def in_turns(ways: dict[Name, Callable[[], float]], rounds: int) -> dict[Name, float]:
    """Seconds that each way takes: the middle of some rounds, in which they take turns."""
    times: dict[Name, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(way())
    return {name: statistics.median(of) for name, of in times.items()}


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[str | None]:
    """A cluster of Dask on this machine, by its address; None where Dask is not installed."""
    try:
        from distributed import LocalCluster
    except ImportError:
        print("without Dask: pip install 'rtsep[cluster]'")
        yield None
        return
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as started:
        yield started.scheduler_address


def memory_mb(options: list[str], workers: int) -> str:
    """What workers take while they are at work, one by one."""
    arguments = ["songs", *options, "--workers", str(workers)]
    process = subprocess.Popen(command("rtsep.cli.separate", *arguments))
    most: dict[str, int] = {}
    while process.poll() is None:
        children = subprocess.run(
            ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
        ).stdout.split()
        for pid in children:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        most[pid] = max(most.get(pid, 0), int(line.split()[1]))
        time.sleep(0.2)
    return " + ".join(f"{kilobytes / 1e3:.0f}" for kilobytes in most.values()) + " MB"


if __name__ == "__main__":
    sys.exit(main())

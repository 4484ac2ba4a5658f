"""Workers and the run itself are killed at random moments, again and again: nothing is lost.

    RTSEP_SOAK=10000 RTSEP_SOAK_KILLS=50 RTSEP_SOAK_NETS=1 pytest -s tests/batch/test_soak.py

takes real networks on made-up weights in place of factors, and prints what it has found.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.batch.journal import DONE, FAILED, Row, read_journal
from rtsep.errors import RtsepError
from tests.batch.conftest import GAIN_WORKER, REPOSITORY
from tests.files.sounds import RATE

FILES = int(os.environ.get("RTSEP_SOAK", "24"))
KILLS = int(os.environ.get("RTSEP_SOAK_KILLS", "4"))
NETS = bool(os.environ.get("RTSEP_SOAK_NETS"))
STEMS = ("vocals", "accompaniment")
DAMAGED_PART = 0.01 if FILES >= 1000 else 0.1

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
    pytest.mark.slow,
    pytest.mark.timeout(400 if FILES < 100 else 24 * 3600),
]

# Beside letters: what shells, terminals, Python and FFmpeg take for something else.
ODD = [
    "a b", "tab\t", "new\nline", "*", "[x]", "{y}", "%d", "%s", "$HOME", "'", '"', "\\", "`ls`", "#",
    "?q=1", "-o", "é", "e\u0301", "日本語", "🎵", "\u202e", "\x1b[31m", "\x07", "c:", "~", "&", "|", ";",
    "end ", "x" * 120, os.fsdecode(b"\xff\xfe"), "file:", "http:", "NUL", "0",
]  # fmt: skip

RUN = f"""
import os, sys
from rtsep.batch import worker_process
from rtsep.cli.separate import main
if not os.environ.get("RTSEP_SOAK_NETS"):
    worker_process.command = lambda module: [sys.executable, "-c", {GAIN_WORKER!r}]
sys.exit(main())
"""


def make_library(folder: Path, count: int) -> set[str]:
    """Make recordings of 0.5 to 4 s, each another, some damaged; return the names of these.

    Written by hand: 10,000 files of noise cost a minute in an encoder.
    """
    random_ = np.random.default_rng(17)
    header = np.frombuffer(b"RIFF....WAVEfmt ", np.uint8)
    damaged = set()
    for number in range(count):
        samples = int(random_.uniform(0.5, 4.0) * RATE)
        sound = random_.integers(-9000, 9000, (samples, 2), np.int16)
        path = folder / f"cd {number % 7}" / f"{ODD[number % len(ODD)]}{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        form = np.array([16, 0x20001, RATE, 4 * RATE, 0x100004], np.uint32).tobytes()
        content = b"".join(
            (header.tobytes(), form, b"data", np.uint32(sound.nbytes).tobytes(), sound.tobytes())
        )
        if random_.random() < DAMAGED_PART:
            content = bytes(random_.integers(0, 256, 2000, np.uint8))
            damaged.add(str(path))
        path.write_bytes(content)
    return damaged


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments, "--json-lines"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(word) for word in found.split()]


class Collector:
    """Takes the hash of stems as they come and makes holes of them, which take no room on the disk."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.hashes: dict[tuple[str, str], str] = {}
        # By how many inputs were done: memory of its own of each worker that is at work.
        self.private_kb: list[tuple[int, int]] = []

    def take(self) -> list[Row]:
        try:
            rows = read_journal(self.journal)[0]
        except RtsepError:  # not there yet
            return []
        for row in rows:
            for stem, (target, size) in row.outputs.items():
                if row.state == DONE and (row.name, stem) not in self.hashes:
                    content = Path(target).read_bytes()
                    assert len(content) == size
                    self.hashes[row.name, stem] = hashlib.sha256(content).hexdigest()
                    os.truncate(target, 0)
                    os.truncate(target, size)
        return rows

    def watch(self, run: subprocess.Popen, done: int) -> None:
        for pid in children_of(run.pid):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            kb = [int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line]
            self.private_kb.append((done, kb[0] if kb else 0))

    def memory_mb(self, first: int, stop: int) -> float:
        """The middle of what workers had while inputs `first` to `stop` were done."""
        return float(np.median([kb for done, kb in self.private_kb if first <= done < stop])) / 1e3


def test_kills_lose_nothing(tmp_path, made_up_weights, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dice = random.Random(4)
    library, journal = tmp_path / "library", Path("j")
    damaged = make_library(library, FILES)
    arguments = [
        "library",
        "-o",
        "out",
        "--journal",
        "j",
        "--retries",
        "9",
        "--duplicates",
        "separate",
    ]
    collector = Collector(journal)
    pause = {"GAIN_WORKER_PAUSE_S": "0.1" if FILES < 1000 else "0"}
    kills = {"workers": 0, "runs": 0}
    began_s = time.monotonic()
    run = start(*arguments, **pause)
    # One at each of these numbers of inputs that are done, and a moment later.
    moments = sorted(dice.sample(range(1, FILES - len(damaged) - 2), min(KILLS, FILES // 4)))
    while run.poll() is None:
        done = sum(row.state == DONE for row in collector.take())
        collector.watch(run, done)
        if moments and done >= moments[0]:
            moments.pop(0)
            time.sleep(dice.uniform(0.0, 0.3))
            workers = children_of(run.pid)
            if len(moments) % 2 and workers:
                os.kill(dice.choice(workers), signal.SIGKILL)
                kills["workers"] += 1
            else:
                # With its workers, as where memory runs out, or without them.
                for pid in [run.pid, *(workers if dice.random() < 0.5 else [])]:
                    os.kill(pid, signal.SIGKILL)
                run.wait()
                kills["runs"] += 1
                run = start(*arguments, **pause)
        time.sleep(0.2)
    assert run.returncode == (1 if damaged else 0)
    assert not moments and all(kills.values())

    rows = collector.take()
    states = {row.name: row.state for row in rows}
    assert {name for name, state in states.items() if state == FAILED} == damaged
    assert sorted(states) == sorted(str(path) for path in library.rglob("*.wav"))
    expected = {target for row in rows if row.state == DONE for target, _ in row.outputs.values()}
    assert len(expected) == len(STEMS) * (FILES - len(damaged))
    assert {str(path) for path in Path("out").absolute().rglob("*") if path.is_file()} == expected
    assert sorted(path.name for path in Path().iterdir()) == ["j", "library", "out"]
    assert sorted(path.name for path in tmp_path.rglob(".*")) == []

    # The same bits as of a run that nobody disturbs, of some.
    some = dice.sample(sorted(set(states) - damaged), min(FILES // 4, 200))
    Path("some").write_bytes(b"\0".join(map(os.fsencode, some)))
    once = start("--from-file", "some", "-o", "single", "--workers", "1", "--journal", "k")
    assert once.wait() == 0
    single = Collector(Path("k"))
    assert len(single.take()) == len(some)
    for key, value in single.hashes.items():
        assert collector.hashes[key] == value
    middle = FILES // 2
    memory = [collector.memory_mb(FILES // 10, middle), collector.memory_mb(middle, FILES)]
    if FILES >= 1000:
        assert memory[1] <= 1.05 * memory[0]
    print(
        json.dumps(
            {
                "files": FILES,
                "damaged": len(damaged),
                "killed": kills,
                "minutes": round((time.monotonic() - began_s) / 60, 1),
                "worker_mb": [round(mb) for mb in memory],
            }
        )
    )

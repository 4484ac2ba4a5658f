"""The installed packages at work: from the root of a clone, whose folder rtsep is in the way, and not.

Made-up weights; nothing is fetched. `python -m` looks into the current folder first, so that in a
clone it runs the clone's rtsep beside the other packages that are installed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsep_bench.contenders import RUNTIMES
from rtsep_bench.watchdog import priority
from tests.files.sounds import music, write_file
from tests.packaging.conftest import CHECKOUT, Installation

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("made_up_weights")]

PROGRAMS = ("rtsep-separate", "rtsep-monitor", "rtsep-weights", "rtsep-bench")
BENCH = ("--weights", "made-up", "--json")

Run = Callable[..., str]


@pytest.fixture(params=["in the clone", "elsewhere"])
def run(request: pytest.FixtureRequest, installed_wheel: Installation, tmp_path: Path) -> Run:
    """Runs a program of an installation to its end; returns what it printed on stdout.

    The sdist is none of its own: it makes the same wheel (test_contents.py).
    """
    cwd = CHECKOUT if request.param == "in the clone" else tmp_path

    def run(program: str, *arguments: object) -> str:
        done = installed_wheel.run(program, *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    return run


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A second of sound."""
    return write_file(tmp_path / "song.wav", music(1.0))


def test_what_runs_is_what_was_installed(installed_wheel: Installation, tmp_path: Path) -> None:
    for name in ("rtsep", "rtsep_kernels", "rtsep_bench", "rtsep_weights"):
        code = f"import {name}; print({name}.__file__)"
        found = Path(installed_wheel.run("python", "-c", code, cwd=tmp_path).stdout.strip())
        assert found.is_relative_to(installed_wheel.folder)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help(run: Run, program: str) -> None:
    assert program in run(program, "--help")


def test_weights(run: Run) -> None:
    for words in (("rtsep-weights",), ("python", "-m", "rtsep.cli.weights")):
        assert "spleeter:2stems" in run(*words, "list")


def test_separate(run: Run, song: Path, tmp_path: Path) -> None:
    run("rtsep-separate", song, "-o", tmp_path / "stems")
    stems = sorted(path.name for path in (tmp_path / "stems" / "song").iterdir())
    assert stems == ["accompaniment.wav", "vocals.wav"]


def test_monitor(run: Run, song: Path, tmp_path: Path) -> None:
    mix = tmp_path / "mix.wav"
    run(
        "rtsep-monitor", "--input-file", song, "--output-file", mix, "--latency", "low",
        "-m", "spleeter:2stems", "--ratio", "--quiet",
    )  # fmt: skip
    assert mix.stat().st_size > 44_100


def test_from_python(run: Run) -> None:
    code = (
        "import numpy, rtsep;"
        "stems = rtsep.Separator('spleeter:2stems').separate(numpy.zeros((4410, 2)), 44100);"
        "print(*(f'{name} {stem.shape}' for name, stem in stems.items()))"
    )
    assert run("python", "-c", code) == "vocals (4410, 2) accompaniment (4410, 2)\n"


def test_bench_latency_beside_busy_programs(run: Run, tmp_path: Path) -> None:
    """The loads and the watchdog are children."""
    watch = ["--watch"] if priority() else []
    kept = tmp_path / "latency.json"
    run(
        "rtsep-bench",
        "latency",
        "--busy",
        2,
        *watch,
        "--plans",
        "low",
        "--seconds",
        1,
        *BENCH,
        kept,
    )
    report = json.loads(kept.read_text())
    assert report["settings"]["busy"] == 2
    assert "longest_stall_ms" in report["rows"][0] or not watch


def test_bench_offline(run: Run, tmp_path: Path) -> None:
    """Start-up and memory are measured in a child."""
    kept = tmp_path / "offline.json"
    words = ["--models", "spleeter:2stems", "--seconds", 1, "--rounds", 1]
    run("rtsep-bench", "offline", *words, *BENCH, kept)
    assert json.loads(kept.read_text())["rows"][0]["first_output_s"] > 0


def test_bench_peers(run: Run, tmp_path: Path) -> None:
    """Memory is measured in children; what is not installed is named with its extra."""
    kept = tmp_path / "peers.json"
    words = ["--cases", "unet-T64", "--bins", 64, "--rounds", 1]
    out = run("rtsep-bench", "peers", *words, *BENCH, kept)
    compared = {row["contender"] for row in json.loads(kept.read_text())["rows"]}
    assert "rtsep" in compared
    missing = set(RUNTIMES) - compared
    told = " ".join(out.split())  # tables' notes are wrapped
    assert all(f"{name} (needs " in told for name in missing)
    assert ("pip install 'rtsep[bench]'" in told) == bool(missing)

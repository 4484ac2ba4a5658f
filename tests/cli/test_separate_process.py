"""`rtsep-separate` as a process: signals, start-up, and real runs on made-up weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rtsep.cli.separate import main
from tests.files.sounds import music, read_file, signal_to_noise_db, write_file
from tests.signal_programs import end, start

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# In a process of its own: a signal is for the whole process.
SLOW_DOUBLE = """
import sys, time
from rtsep.cli import separate
from tests.offline.gain_separator import GainSeparator, GainStream
push = GainStream.push
def slow_push(stream, block):
    time.sleep(0.5)
    return push(stream, block)
GainStream.push = slow_push
separate._load_separator = lambda arguments, stems: GainSeparator(dict.fromkeys(stems, 0.5))
sys.exit(separate.main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "rtsep-separate: interrupted\n"),
        (signal.SIGTERM, 143, ""),
        (signal.SIGHUP, 129, ""),
    ],
)
def test_a_signal_leaves_nothing_half_written(folder, number, status, message):
    write_file(folder / "long.wav", music(30.0))
    old = folder / "separated" / "long" / "vocals.wav"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"the old one")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_DOUBLE, "long.wav", "--quiet"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not any(
            part.stat().st_size > 100_000 for part in old.parent.glob(".vocals.wav.*.part")
        ):
            time.sleep(0.02)
        process.send_signal(number)
        _out, error = process.communicate(timeout=30)
    assert process.returncode == status
    assert error == message
    assert [path.name for path in old.parent.iterdir()] == ["vocals.wav"]
    assert old.read_bytes() == b"the old one"


# Both runs are in the middle of their stems before either goes on.
AT_ONCE = """
import sys, time
from pathlib import Path
from rtsep.cli import separate
from tests.offline.gain_separator import GainSeparator, GainStream
flush, name = GainStream.flush, sys.argv.pop()
def wait_for_the_other(stream):
    Path(f"ready.{name}").touch()
    while len(list(Path().glob("ready.*"))) < 2:
        time.sleep(0.01)
    return flush(stream)
GainStream.flush = wait_for_the_other
separate._load_separator = lambda arguments, stems: GainSeparator(dict.fromkeys(stems, 0.5))
sys.exit(separate.main())
"""


@pytest.mark.parametrize("there_before", [False, True])
def test_of_two_runs_into_one_place_one_wins_and_the_other_is_told(folder, there_before):
    sounds = {}
    for number, name in enumerate("ab", 1):
        (folder / name).mkdir()
        sounds[name] = 0.5 * music(6.0 * number)
        write_file(folder / name / "01.wav", music(6.0 * number))
    stems = folder / "separated" / "01"
    if there_before:
        stems.mkdir(parents=True)
        (stems / "vocals.wav").write_bytes(b"the old one")
    runs = {name: start(AT_ONCE, f"{name}/01.wav", "--quiet", name) for name in "ab"}
    ended = {name: end(run) for name, run in runs.items()}
    (winner,) = (name for name, (status, _out, _err) in ended.items() if status == 0)
    (loser,) = set("ab") - {winner}
    assert ended[loser] == (
        1, "",
        "rtsep-separate: error: cannot write separated/01/vocals.wav: another program has written"
        " that file meanwhile: it is left as it is\n",
    )  # fmt: skip
    assert sorted(path.name for path in stems.iterdir()) == ["accompaniment.wav", "vocals.wav"]
    for path in stems.iterdir():
        assert signal_to_noise_db(read_file(path), sounds[winner]) > 60


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "usage: rtsep-separate"),
        (["a.wav", "-m", "none"], 2, "unknown model 'none'"),
    ],
)
def test_help_and_usage_errors_load_nothing_heavy(folder, arguments, status, said):
    code = (
        "import sys\nfrom rtsep.cli.separate import main\n"
        "try:\n    status = main()\nexcept SystemExit as end:\n    status = end.code\n"
        "heavy = {'numba', 'scipy', 'av', 'soxr', 'rich', 'pyfftw', 'rtsep.offline.separator'}\n"
        "print('loaded:', sorted(heavy & set(sys.modules)))\nsys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_stems_of_a_real_run_sum_to_the_mixture(folder, made_up_weights, rate):
    sound = music(14.0, rate)
    write_file(folder / "long.wav", sound, rate)
    arguments = ["long.wav", "--two-stems", "drums", "-m", "spleeter:4stems", "--quiet"]
    assert main([*arguments, "--mask-extension", "average", "--bit-depth", "float"]) == 0
    stems = [
        read_file(folder / "separated" / "long" / f"{name}.wav") for name in ("drums", "no_drums")
    ]
    assert all(stem.shape == sound.shape and np.any(stem) for stem in stems)
    assert signal_to_noise_db(stems[0] + stems[1], sound) > (120 if rate == 44_100 else 60)


@pytest.mark.slow
def test_a_real_run_as_a_process(folder, made_up_weights):
    write_file(folder / "mono.mp3", music(3.0, channels=1))
    done = subprocess.run(
        [sys.executable, "-m", "rtsep.cli.separate", "mono.mp3", "gone.wav", "-o", "out"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "rtsep-separate: error: no such file: gone.wav"
    assert "times faster than real time" in done.stdout
    for stem in ("vocals", "accompaniment"):
        assert read_file(folder / "out" / "mono" / f"{stem}.wav").shape == (132_300, 1)

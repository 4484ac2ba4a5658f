"""`rtsep-bench latency`: what a run reports, on paced sound and on devices, beside other programs."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.cli import bench
from rtsep.cli.terminal.display import LiveDisplay
from rtsep.devices import open as devices_open
from rtsep.devices.audio_stream import Xruns
from rtsep.devices.choice import Devices
from rtsep.devices.device_stream import DeviceStream
from rtsep.errors import RtsepError
from rtsep.live.device_adapter import DeviceAdapter
from rtsep.live.engine import Engine
from rtsep.live.signal_path import SignalPath
from rtsep.live.worker import Worker
from rtsep.nets.sliding import SlidingState
from rtsep_bench import busy
from rtsep_bench.busy import busy_programs
from rtsep_bench.watchdog import priority

pytestmark = pytest.mark.usefixtures("made_up_weights")

BLOCK = 512


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, stdout, stderr of a run on made-up weights."""
    try:
        status = bench.main(["latency", "--weights", "made-up", *map(str, words)])
    except SystemExit as error:
        assert isinstance(error.code, int)
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_paced_sound_beside_display_and_a_busy_program(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    json_file, plot_file = tmp_path / "l.json", tmp_path / "l.png"
    drawn: list[float] = []
    draw = LiveDisplay.refresh
    monkeypatch.setattr(
        LiveDisplay, "refresh", lambda display, now_s: (drawn.append(now_s), draw(display, now_s))
    )
    status, out, err = run(
        capsys, "--plans", "low,64/2/4/2/hann", "--seconds", 1, "--blocksize", 256,
        "--display", "--busy", 1, "--json", json_file, "--plot", plot_file,
    )  # fmt: skip
    assert status == 0, err
    report = json.loads(json_file.read_text())
    low, spelt_out = report["rows"]
    assert (low["contender"], spelt_out["contender"]) == ("low", "64/2/4/2/hann")
    for row in (low, spelt_out):
        assert row["hops"] == 44_100 // 1024
        assert row["latency_ms"]["total"] == row["latency_ms"]["algorithm"] > 90
        assert not any(row["xruns"].values())
        assert row["threads"] == 2 == len(row["worker_ms_by_stem"])
        assert 0 < row["worker_ms"]["p50"] <= row["worker_ms"]["max"]
        assert 0 < row["callback_ms"]["p50"] <= row["callback_ms"]["max"]
        assert row["block_ms"] == pytest.approx(1000 * 256 / 44_100, rel=0.05)
        assert row["rss_mb"] is None or row["rss_mb"] > 50
        assert row["load"] == pytest.approx(row["worker_ms"]["p50"] / row["deadline_ms"])
    assert spelt_out["deadline_ms"] == pytest.approx(2 * low["deadline_ms"])
    assert report["settings"]["busy"] == 1 and report["versions"]["numba"]
    assert len(drawn) > 5
    assert "beside it the live display and other busy programs: 1" in out
    assert plot_file.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not priority(), reason="no leave to go before other programs")
def test_late_masks_beside_stalls_of_the_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_net = SlidingState.run

    def dawdle(state: SlidingState, *arguments: Any) -> int:
        time.sleep(0.06)
        return run_net(state, *arguments)

    monkeypatch.setattr(SlidingState, "run", dawdle)
    json_file = tmp_path / "l.json"
    status, out, err = run(capsys, "--plans", "low", "--seconds", 1, "--watch", "--json", json_file)
    assert status == 0, err
    (row,) = json.loads(json_file.read_text())["rows"]
    # Every mask is late, whatever the machine did.
    assert row["late_masks"] > 20
    assert 0 <= row["late_masks_beside_stalls"] <= row["late_masks"]
    assert row["stalls"] >= 0 and row["longest_stall_ms"] >= 0
    assert "Stalls: a program" in out


def test_only_the_nets_needed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    json_file = tmp_path / "l.json"
    status, _, err = run(
        capsys, "-m", "spleeter:4stems", "--stem", "drums", "--nets", "needed", "--plans", "low",
        "--seconds", 1, "--json", json_file,
    )  # fmt: skip
    assert status == 0, err
    (row,) = json.loads(json_file.read_text())["rows"]
    assert row["threads"] == 1
    assert set(row["worker_ms_by_stem"]) == {"drums"}


class DeviceOfTheTest(DeviceStream):
    """A stream as rtsep.devices.open.open_stream gives it, called by a thread of its own."""

    latency_s = (0.010, 0.020)
    active = True

    def __init__(self, devices, settings, process, on_xruns) -> None:
        super().__init__(process, on_xruns)
        self._block = settings.block
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def stats(self) -> dict[str, float]:
        return {"drift_ppm": 1.5}

    def start(self) -> None:
        self._thread.start()

    def close(self) -> bool:
        self._stopping.set()
        self._thread.join()
        return True

    def _play(self) -> None:
        self._on_xruns(Xruns(True, False, False, False))
        out = np.zeros((self._block, 2), np.float32)
        while not self._stopping.wait(0.005):
            self._run(np.zeros((self._block, 2), np.float32), out)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choosing and opening any device gives DeviceOfTheTest."""
    chosen = Devices("line in", "line out", 44_100, 44_100, 2, 2, 0, 1, True)
    monkeypatch.setattr(devices_open, "choose_devices", lambda *_: chosen)
    monkeypatch.setattr(devices_open, "open_stream", DeviceOfTheTest)


def test_devices(capsys: pytest.CaptureFixture[str], tmp_path: Path, device: None) -> None:
    json_file = tmp_path / "l.json"
    status, out, err = run(
        capsys, "--backend", "device", "-i", "line", "--device-latency", "0.1", "--plans", "low",
        "--seconds", 1, "--blocksize", BLOCK, "--json", json_file,
    )  # fmt: skip
    assert status == 0, err
    report = json.loads(json_file.read_text())
    (row,) = report["rows"]
    assert row["latency_ms"]["device_input"] == pytest.approx(10)
    assert row["latency_ms"]["device_output"] == pytest.approx(20)
    assert row["latency_ms"]["total"] == pytest.approx(row["latency_ms"]["algorithm"] + 30)
    assert row["xruns"]["input_overflow"] == 1
    assert row["drift_ppm"] == 1.5
    assert row["hops"] > 5
    assert row["callback_ms"]["max"] > 0
    assert "input overflow 1" in out
    assert "line in to line out, 44100 Hz" in err
    assert report["settings"]["device_latency"] == 0.1


def test_a_callback_that_fails_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], device: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_):
        raise ValueError("no such sample")

    monkeypatch.setattr(DeviceAdapter, "process", broken)
    status, _, err = run(capsys, "--backend", "device", "--plans", "low", "--seconds", 1)
    assert status == 1
    assert err.splitlines()[-1].endswith("the audio callback failed: ValueError('no such sample')")


@pytest.mark.parametrize(
    ("owner", "method", "told"),
    [
        (Worker, "_run", "the worker of"),
        (SignalPath, "_on_hop", "the audio callback failed"),
    ],
)
def test_what_fails_on_paced_sound_ends_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, owner, method, told
) -> None:
    def broken(*_):
        raise ArithmeticError("no such number")

    start = Engine.start

    def start_and_break(engine):
        start(engine)
        monkeypatch.setattr(owner, method, broken)

    monkeypatch.setattr(Engine, "start", start_and_break)
    status, _, err = run(capsys, "--plans", "low,balanced", "--seconds", 2)
    assert status == 1
    assert told in err and "no such number" in err
    assert "Traceback" not in err


def test_busy_programs_work_and_end() -> None:
    with busy_programs(2) as programs:
        assert [program.poll() for program in programs] == [None, None]
    assert all(program.poll() is not None for program in programs)


def test_a_busy_program_does_not_outlive_the_one_that_started_it() -> None:
    # And what was measured beside it is not passed on.
    ended = pytest.raises(RtsepError, match="a busy program ended before its time: exit status 0")
    with ended, busy_programs(1) as (program,):
        program.stdin.close()
        program.stdin = None  # closed: not to be flushed again
        ends = time.monotonic() + 30
        while program.poll() is None and time.monotonic() < ends:
            time.sleep(0.05)
        assert program.poll() == 0


def test_a_busy_program_that_does_not_start_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(busy, "MODULE", "rtsep_bench.nothing_of_that_name")
    told = pytest.raises(RtsepError, match="did not start: exit status 1, .*nothing_of_that_name")
    with told, busy_programs(1):
        pytest.fail("measured without its load")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--nets", "needed"], "--stem needed: name the stems that are to be heard"),
        (["--stem", "drums"], "unknown stem 'drums': choose from vocals"),
        (["-i", "3"], "--input-device needs --backend device"),
        (["--samplerate", "48000"], "--samplerate needs --backend device"),
        (["--busy", "-1"], "--busy: must be a whole number of at least 1: got '-1'"),
        (["--plans", "nope"], "unknown plan 'nope'"),
        (["--seconds", "0"], "--seconds: must be a number of seconds, 1 or more: got '0'"),
        (["--backend", "device", "--device-latency", "x"], "--device-latency must be low, high or"),
        (["--backend", "tape"], "--backend: invalid choice: 'tape'"),
    ],
)
def test_impossible_options_are_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, *words)
    assert status == 2 and out == ""
    assert told in err and err.count("\n") == 1

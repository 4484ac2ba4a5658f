"""`rtsep-bench endtoend`: what it concludes from what it hears, and a run on real servers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtsep.cli import bench
from rtsep.live.plans.plan import PLANS
from rtsep_bench import endtoend, endtoend_run
from rtsep_bench.heard import (
    GAIN_DB,
    Heard,
    Level,
    delays_s,
    first_filtered_s,
    longest_silence_s,
    tone,
)
from rtsep_bench.pulse_listener import AROUND_S, dates_s
from rtsep_bench.report import Report, Row

RATE, BLOCK = 48_000, 256


def run(*words: object) -> int:
    """The exit status of a run on made-up weights."""
    try:
        return bench.main(["endtoend", "--weights", "made-up", *map(str, words)])
    except SystemExit as error:
        assert isinstance(error.code, int)
        return error.code


def heard_from(sound: np.ndarray) -> Heard:
    """What is noted of a sound that comes in block by block, at the time at which it plays."""
    heard = Heard(RATE)
    for at in range(0, len(sound), BLOCK):
        heard.add(at / RATE, at / RATE, sound[at : at + BLOCK].astype(np.float32))
    return heard


def test_impulses_are_placed_to_the_sample() -> None:
    sound = np.zeros(3 * RATE)
    places = [700, RATE + 1, 2 * RATE + BLOCK]
    sound[places] = 0.3
    sound[np.array(places) + 1] = -0.2
    assert [round(at_s * RATE) for at_s in heard_from(sound).impulses_s] == places


def test_the_takeover_of_a_tone_is_measured() -> None:
    sound = tone(RATE, 0, 4 * RATE)
    sound[RATE : RATE + 40 * BLOCK] = 0
    filtered_from = RATE + 40 * BLOCK
    sound[filtered_from:] *= 10 ** (GAIN_DB / 20)
    levels = heard_from(sound).levels
    assert longest_silence_s(levels) == pytest.approx(40 * BLOCK / RATE, abs=1.5 * BLOCK / RATE)
    assert first_filtered_s(levels) == pytest.approx(filtered_from / RATE, abs=BLOCK / RATE)


def test_sound_that_passes_by_is_not_filtered_sound() -> None:
    levels = heard_from(tone(RATE, 0, RATE)).levels
    assert first_filtered_s(levels) is None
    # Loud by chance for a moment only.
    half = levels[0].rms * 10 ** (GAIN_DB / 20)
    assert first_filtered_s([*levels, Level(1.0, 0.005, half), *levels]) is None


def test_impulses_are_paired_with_what_was_heard_before_the_next_one() -> None:
    sent_s = [1.0, 2.0, 3.0, 4.0]
    # The second one was lost; the third came twice, as from a sink that renders anew.
    heard_s = [0.5, 1.1, 3.09, 3.5, 4.2]
    took_s, lost = delays_s(sent_s, heard_s)
    assert took_s == pytest.approx([0.1, 0.09, 0.2]) and lost == 1
    took_s, lost = delays_s([1.0, 2.0], [0.99, 2.01], early_s=0.05)
    assert took_s == pytest.approx([-0.01, 0.01]) and lost == 0


def test_a_sound_is_dated_by_the_promptest_block_about_it() -> None:
    random = np.random.default_rng(0)
    ends_s = np.arange(0.004, 20.0, 0.004)
    # After ten seconds the recording holds a second more than was played.
    begun_s = np.where(ends_s < 10.0, 100.0, 99.0) + random.exponential(0.02, len(ends_s))
    begins = list(zip(ends_s.tolist(), begun_s.tolist()))
    early, late = 10.0 - 2 * AROUND_S, 10.0 + 2 * AROUND_S
    assert dates_s([early, late], begins) == pytest.approx([100 + early, 99 + late], abs=0.001)


def test_xruns_belong_to_the_start_or_to_stalls_or_to_nobody() -> None:
    begun_s, stall_s = 100.0, 200.0
    start_s, recovered_s = endtoend_run.START_S, endtoend_run.RECOVERED_S
    times_s = [
        begun_s - 1, begun_s + start_s / 2,
        stall_s + recovered_s / 2,
        stall_s - 1, stall_s + 2 * recovered_s, stall_s + 1,
    ]  # fmt: skip
    assert endtoend_run._xruns_when(times_s, [stall_s], begun_s) == {
        "at_start": 2, "beside_stalls": 1, "else": 3,
    }  # fmt: skip


def test_the_tables_fit_a_terminal_of_120_columns() -> None:
    from rich.console import Console
    from rich.measure import Measurement

    figures = {
        "heard_ms": {"median": 1031.6, "min": 1031.4, "max": 1531.8}, "most_ms": 138.0,
        "latency_ms": {"total": 1030.7}, "off_by_ms": -100.9, "most_off_ms": 15.0,
        "impulses": 1000, "impulses_lost": 10, "first_filtered_s": 100.9, "silence_ms": 1332.0,
        "stalls": {"longer_than_ms": 23.2, "count": 1000, "longest_ms": 1232.6},
        "xruns_when": {"at_start": 10, "beside_stalls": 120, "else": 1000},
        "late_masks": 1000, "hops": 53_700,
    }  # fmt: skip
    row = Row("system", "pipewire-192000-8192", 2, median_ms=1031.6, more=figures)
    report = Report("endtoend", {"plan": "classic", "route": "system"}, [row], [], [])
    console = Console(width=400)
    for table in endtoend.tables(report):
        assert Measurement.get(console, console.options, table).maximum <= 120


@pytest.mark.parametrize(
    "words, said",
    [
        (("--servers", "pipewire-48000"), "'pipewire-48000' is no server"),
        (("--servers", "alsa"), "'alsa' is no server"),
        (("--servers", "pulseaudio", "--route", "jack"), "not on pulseaudio"),
        (("--monitor-options", "'"), "No closing quotation"),
        (("--plan", "soon"), "soon"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1


@pytest.mark.unhurried
@pytest.mark.slow
@pytest.mark.parametrize(
    "server",
    [
        pytest.param("jack-44100-256", marks=pytest.mark.needs("jack")),
        pytest.param("pipewire-48000-256", marks=pytest.mark.needs("pipewire")),
        pytest.param("pulseaudio", marks=pytest.mark.needs("pulse")),
    ],
)
def test_a_run_on_a_server(server, tmp_path, capsys):
    file = tmp_path / "endtoend.json"
    assert run("--servers", server, "--duration", 3, "--json", file) == 0
    assert server in capsys.readouterr().out
    (row,) = json.loads(file.read_text())["rows"]
    assert row["impulses"] > 0
    assert row["heard_ms"]["min"] >= PLANS["low"].latency_ms - 0.1
    assert row["most_ms"] >= PLANS["low"].latency_ms + 6
    assert row["off_by_ms"] == pytest.approx(row["heard_ms"]["median"] - row["latency_ms"]["total"])
    assert row["first_filtered_s"] > 0
    # Between the clients of JACK's graph nothing is taken over.
    assert (row["silence_ms"] is None) == server.startswith("jack")

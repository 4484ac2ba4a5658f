"""`rtsep-bench endtoend`: what it concludes from what it hears, and a run on real servers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtsep.cli import bench
from rtsep.live.plans.plan import PLANS
from rtsep_bench.heard import GAIN_DB, Heard, Level, first_filtered_s, longest_silence_s, tone

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "server",
    [
        pytest.param("jack-44100-256", marks=pytest.mark.needs("jack")),
        pytest.param("pipewire-48000-256", marks=pytest.mark.needs("pipewire")),
    ],
)
def test_a_run_inside_a_graph(server, tmp_path, capsys):
    pytest.importorskip("jack")
    file = tmp_path / "endtoend.json"
    assert run("--servers", server, "--duration", 3, "--json", file) == 0
    assert server in capsys.readouterr().out
    (row,) = json.loads(file.read_text())["rows"]
    assert row["impulses"] > 0
    assert row["heard_ms"]["min"] >= PLANS["low"].latency_ms - 0.1
    assert row["most_ms"] == pytest.approx(PLANS["low"].latency_ms + 6)
    assert row["off_by_ms"] == pytest.approx(row["heard_ms"]["median"] - row["latency_ms"]["total"])
    assert row["first_filtered_s"] > 0

"""`rtsep-bench quality`: known separations, bad songs, runs that go on, processes that die."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.cli import bench
from rtsep.errors import RtsepError
from rtsep.live.plans.plan import PLANS
from rtsep_bench import quality_case, quality_child, song_split
from rtsep_bench.evaluation import sdr_db
from rtsep_bench.kept_results import KeptResults
from rtsep_bench.quality_case import Case, Setting
from rtsep_bench.quality_child import CaseError, Child
from rtsep_bench.quality_run import run as run_cases
from rtsep_bench.report import Row
from rtsep_bench.song_files import find
from tests.benchmarks.made_up_songs import RATE, sound, write, write_song

STEMS = ("vocals", "drums", "bass")
NO_BOUNDS = ("--bounds", "none")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """In one process, where what is patched is seen."""
    try:
        status = bench.main(["quality", "--jobs", "1", *map(str, words)])
    except SystemExit as error:
        assert isinstance(error.code, int)
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def cells(out: str) -> list[list[str]]:
    """The rows of the tables printed."""
    return [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line
    ]


def rows_of(json_file: Path) -> list[dict]:
    return json.loads(json_file.read_text())["rows"]


@pytest.fixture
def separated(monkeypatch: pytest.MonkeyPatch, made_up_weights: None) -> list[str]:
    """The true stem at -20 dB of itself as noise, in place of a separation; who was asked for it."""
    asked: list[str] = []

    def separate(nets, case, song, setting):
        asked.append(f"{song.name} {setting.contender}")
        return song.true * 1.1

    monkeypatch.setattr(quality_case, "separate", separate)
    return asked


# --- tables -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("made_up_weights")
def test_relative_is_to_classic_with_ratio_masks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    write_song(tmp_path / "one", STEMS)
    write_song(tmp_path / "two", STEMS)
    noise_db = {("classic", True): -20, ("classic", False): -17, ("low", True): -15}

    def separate(nets, case, song, setting):
        noise = song.true * 10 ** (noise_db.get((setting.contender, setting.ratio), -10) / 20)
        return song.true + noise

    monkeypatch.setattr(quality_case, "separate", separate)
    json_file = tmp_path / "q.json"
    status, out, err = run(
        capsys, tmp_path, "--plans", "low,classic", "--masks", "ratio,alone", *NO_BOUNDS,
        "--json", json_file, "--plot", tmp_path / "q.png",
    )  # fmt: skip
    assert status == 0, err
    shown = {(line[0], line[1]): (line[2], line[3], line[4]) for line in cells(out)}
    assert shown == {
        ("low", "ratio"): ("93", "15.00", "-5.00"),
        ("low", "alone"): ("93", "10.00", "-10.00"),
        ("classic", "ratio"): ("5944", "20.00", "+0.00"),
        ("classic", "alone"): ("5944", "17.00", "-3.00"),
    }
    assert {(row["contender"], row["case"], row["ratio"]) for row in rows_of(json_file)} == {
        (plan, song, ratio)
        for plan in ("low", "classic")
        for song in ("one", "two")
        for ratio in (True, False)
    }
    assert (tmp_path / "q.png").stat().st_size > 10_000


@pytest.mark.usefixtures("made_up_weights")
def test_versions_are_averaged_and_the_worst_song_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for title in ("one", "two", "three"):
        write_song(tmp_path / title, STEMS)
    worse_db = {"one": 0, "two": 1, "three": 5}

    def separate(nets, case, song, setting):
        _, _, speed = song.name.partition("@")
        worse = (
            worse_db[song.title] + 100 * (float(speed or 1) - 1)
            if setting.contender == "low"
            else 0
        )
        return song.true + song.true * 10 ** ((-20 + worse) / 20)

    monkeypatch.setattr(quality_case, "separate", separate)
    status, out, err = run(
        capsys, tmp_path, "--plans", "low,classic", "--speeds", "1,1.02,1.04", *NO_BOUNDS
    )
    assert status == 0, err
    assert "3 songs in 9 versions; plans were tuned on none of them" in " ".join(out.split())
    (low,) = (line for line in cells(out) if line[0] == "low")
    assert low[3:5] == ["16.00", "-4.00"]
    # Of three songs, all of one in some draws: from the best song's mean to the worst one's.
    assert low[5] == "-7.00 to -2.00"
    assert low[6] == "-7.00 three"
    assert low[9:] == ["18.00", "13.00", "17.00"]  # one, three, two


def test_ceiling_and_floors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    stems = write_song(tmp_path / "one", STEMS)
    json_file = tmp_path / "q.json"
    status, out, err = run(capsys, tmp_path, "--plans", "classic", "--json", json_file)
    assert status == 0, err
    rows = {row["contender"]: row for row in rows_of(json_file)}
    assert list(rows) == ["classic", "oracle", "mixture", "hpss", "low-pass"]
    everything = sum(stems.values())
    assert rows["mixture"]["sdr_db"] == pytest.approx(sdr_db(everything, stems["vocals"]), abs=1e-3)
    assert rows["oracle"]["sdr_db"] > rows["hpss"]["sdr_db"]
    assert rows["mixture"]["latency_ms"] is None
    (mixture,) = (line for line in cells(out) if line[0] == "mixture")
    assert mixture[1:3] == ["-", "-"]
    assert float(mixture[4]) == pytest.approx(rows["mixture"]["sdr_db"] - 20, abs=0.006)


def test_published_figures_have_a_table_of_their_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    pytest.importorskip("museval")
    write_song(tmp_path / "one", STEMS)
    json_file = tmp_path / "q.json"
    status, out, err = run(
        capsys, tmp_path, "--plans", "low", "--museval", *NO_BOUNDS, "--json", json_file
    )
    assert status == 0, err
    (row,) = rows_of(json_file)
    assert row["v4_sdr_db"] == pytest.approx(20, abs=1e-3)
    _, published = cells(out)
    assert published == [
        "low", "ratio", "93", "20.00", "-", "20.00 one",
        *(f"{row[f'v4_{name}_db']:.2f}" for name in ("isr", "sir", "sar")),
    ]  # fmt: skip
    assert "BSS Eval v4 of vocals, 1 song" in out


@pytest.mark.usefixtures("made_up_weights")
def test_the_network_level_makes_up_for_a_quiet_mixture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stems = write_song(tmp_path / "one", STEMS, seconds=0.5)
    json_file = tmp_path / "q.json"
    status, _, err = run(
        capsys, tmp_path, "--plans", "low", "--levels", "0,-26", "--json", json_file, *NO_BOUNDS
    )
    assert status == 0, err
    rows = rows_of(json_file)
    sdr = {(row["level_db"], row["auto_level"]): row["sdr_db"] for row in rows}
    assert sdr[-26, True] == pytest.approx(sdr[0, True], abs=1e-3)
    assert abs(sdr[-26, False] - sdr[0, False]) > 0.01
    # Aligned with the true stem: something of it is heard, if only as half of the mixture.
    assert sdr[0, True] > sdr_db(np.roll(sum(stems.values()), 1000, axis=0), stems["vocals"])
    assert rows[0]["latency_ms"] == PLANS["low"].latency_ms


# --- songs ------------------------------------------------------------------------------------------


def test_bad_songs_are_named_and_the_others_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    for title in ("short", "rate", "mute", "good", "nan"):
        write_song(tmp_path / title, STEMS)
    write(tmp_path / "short" / "bass.wav", sound(0, 0.5))
    write(tmp_path / "rate" / "bass.wav", sound(0, 1.0, 48_000), 48_000)
    write(tmp_path / "mute" / "vocals.wav", np.zeros((RATE, 2)))
    write(tmp_path / "nan" / "vocals.wav", np.full((RATE, 2), np.nan))
    (tmp_path / "pictures").mkdir()
    json_file = tmp_path / "q.json"
    status, _, err = run(
        capsys, tmp_path, "--plans", "low", "--json", json_file, "--speeds", "1,1.02", *NO_BOUNDS
    )
    assert status == 1
    assert {row["case"] for row in rows_of(json_file)} == {"good", "good@1.02"}
    lines = err.splitlines()
    for reason in (
        "pictures: holds no stems",
        "short: drums has 44100 samples at 44100 Hz, bass 22050",
        "rate: drums has 44100 Hz, bass 48000",
        "mute: its stem vocals is silent",
        "nan: ",
    ):
        # Once, however many versions of the song there are.
        assert sum(line.startswith(f"rtsep-bench: {reason}") for line in lines) == 1, reason
    assert lines[-1] == (
        "rtsep-bench: error: 5 songs were not measured, or not in full:"
        " pictures, mute, nan, rate, short"
    )


def test_if_no_song_is_good_nothing_is_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    write_song(tmp_path / "one", ("drums", "bass"))
    status, out, err = run(capsys, tmp_path)
    assert (status, out) == (1, "")
    assert "one: has no vocals: its stems are bass, drums" in err
    assert err.splitlines()[-1] == "rtsep-bench: error: no song could be measured"


def test_musdb(capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]) -> None:
    stems = ("drums", "bass", "other", "vocals")
    write_song(tmp_path / "musdb" / "train" / "A - B", stems, mixture=True)
    write_song(tmp_path / "musdb" / "train" / "C - D", stems)
    status, out, err = run(
        capsys, "--musdb", tmp_path / "musdb", "--subset", "train", "--results", tmp_path / "kept",
        "--plans", "low", *NO_BOUNDS,
    )  # fmt: skip
    assert status == 1
    assert separated == ["A - B low"]
    assert "C - D: lacks mixture.wav" in err
    assert "holds 1 of the 100 songs of the subset train" in " ".join(out.split())


def test_a_split_of_the_songs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    tuned, reported = song_split.titles("tuned"), song_split.titles("reported")
    assert tuned and reported and not tuned & reported
    for title in (*tuned, *reported, "unknown"):
        write_song(tmp_path / title, STEMS, seconds=0.5)
    words = (tmp_path, "--plans", "low", *NO_BOUNDS)
    status, out, _ = run(capsys, *words, "--split", "reported")
    assert status == 0
    assert {line.split()[0] for line in separated} == reported
    assert "plans were tuned on none of them" in " ".join(out.split())
    _, out, _ = run(capsys, *words)
    assert f"plans were tuned on {len(tuned)} of them" in " ".join(out.split())
    status, _, err = run(capsys, tmp_path / "unknown", "--split", "tuned")
    assert status == 2
    assert "none of the songs is one of falcon-69, lithium" in err


def test_the_middle_of_the_songs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    write_song(tmp_path / "one", STEMS, seconds=1.5)
    json_file = tmp_path / "q.json"
    status, out, _ = run(
        capsys, tmp_path, "--seconds", 1, "--plans", "low", "--json", json_file, *NO_BOUNDS
    )
    assert status == 0
    assert rows_of(json_file)[0]["samples"] == RATE
    assert "Of each song the 1 s in the middle." in out


def test_mixtures_for_other_programs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    stems = write_song(tmp_path / "songs" / "one", STEMS)
    status, _, err = run(capsys, tmp_path / "songs", "--mixtures", tmp_path / "out")
    assert status == 0, err
    assert not separated
    mixture, rate = soundfile.read(tmp_path / "out" / "one.wav")
    assert rate == RATE
    np.testing.assert_allclose(mixture, sum(stems.values()), atol=1e-6)


def test_against_another_program(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    for title in ("one", "two"):
        write_song(tmp_path / "songs" / title, STEMS, seconds=1.5)
    truth, _ = soundfile.read(tmp_path / "songs" / "one" / "vocals.wav")
    late = np.pad(truth + 0.1 * sound(9, 1.5), ((500, 0), (0, 0)))
    write(tmp_path / "them" / "one" / "vocals.wav", late)
    json_file = tmp_path / "q.json"
    status, out, err = run(
        capsys, tmp_path / "songs", "--against", f"them={tmp_path / 'them'}", "--plans", "classic",
        "--seconds", 1, "--json", json_file, *NO_BOUNDS,
    )  # fmt: skip
    assert status == 1
    assert "two: " in err and "them holds no vocals of it" in err
    (row,) = (row for row in rows_of(json_file) if row["contender"] == "them")
    assert row["case"] == "one"
    assert row["sdr_db"] == pytest.approx(20, abs=0.1)
    assert row["offset_samples"] == 500
    assert "them came 500 samples late, which is taken out: one." in " ".join(out.split())
    # The plan has both songs.
    assert sum(row["contender"] == "classic" for row in rows_of(json_file)) == 2


# --- results that are kept --------------------------------------------------------------------------


def test_what_is_measured_is_not_measured_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    write_song(tmp_path / "songs" / "one", STEMS)
    write_song(tmp_path / "songs" / "two", STEMS)
    words = (tmp_path / "songs", "--results", tmp_path / "kept", *NO_BOUNDS)
    run(capsys, *words, "--plans", "low")
    assert separated == ["one low", "two low"]
    first, out, err = run(capsys, *words, "--plans", "low,classic")
    assert first == 0
    assert separated[2:] == ["one classic", "two classic"]
    assert "2 rows are taken from an earlier run" in err
    status, again, _ = run(capsys, *words, "--plans", "low,classic")
    assert (status, again) == (0, out)
    assert len(separated) == 4
    # Another part of the songs, and a song that has changed, are measured anew.
    run(capsys, *words, "--plans", "low", "--seconds", 1)
    assert separated[4:] == ["one low", "two low"]
    os.utime(tmp_path / "songs" / "two" / "bass.wav", ns=(0, 0))
    run(capsys, *words, "--plans", "low")
    assert separated[6:] == ["two low"]


def test_a_run_that_ends_before_time_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_song(tmp_path / "songs" / "one", STEMS)
    words = (
        tmp_path / "songs",
        "--results",
        tmp_path / "kept",
        "--plans",
        "low,balanced",
        *NO_BOUNDS,
    )
    whole = quality_case.separate

    def interrupted(nets, case, song, setting):
        if setting.contender == "balanced":
            raise KeyboardInterrupt
        return whole(nets, case, song, setting)

    monkeypatch.setattr(quality_case, "separate", interrupted)
    run(capsys, *words)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["one.json"]
    monkeypatch.setattr(quality_case, "separate", whole)
    status, out, _ = run(capsys, *words)
    assert status == 0
    assert separated == ["one low", "one balanced"]
    assert [line[0] for line in cells(out)] == ["low", "balanced"]


def test_changed_sources_and_weights_count(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_song(tmp_path / "songs" / "one", STEMS)
    words = (tmp_path / "songs", "--results", tmp_path / "kept", "--plans", "low")
    run(capsys, *words)
    for name in ("_separating_sources", "_weights"):
        with monkeypatch.context() as patch:
            patch.setattr(f"rtsep_bench.kept_results.{name}", lambda *_: "another")
            _, _, err = run(capsys, *words)
        # What no network had a part in is as it was.
        assert "4 rows are taken from an earlier run" in err, name
        run(capsys, *words)
    assert len(separated) == 5


def test_damaged_results_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, separated: list[str]
) -> None:
    write_song(tmp_path / "songs" / "one", STEMS)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "one.json").write_text("[1]")
    status, _, err = run(capsys, tmp_path / "songs", "--results", tmp_path / "kept")
    assert status == 1
    assert "one.json holds no results: remove it" in err


# --- processes --------------------------------------------------------------------------------------


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    for title in ("bad", "one", "two"):
        write_song(tmp_path / "songs" / title, STEMS)
    write(tmp_path / "songs" / "bad" / "bass.wav", sound(0, 0.5))
    settings = (Setting("mixture"), Setting("oracle"))
    return [
        Case(files, 1.0, "vocals", "spleeter:2stems", "f32", None, False, {}, settings)
        for files in find([str(tmp_path / "songs")]).songs
    ]


def told(found: Iterator[Row | CaseError]) -> list[object]:
    """Rounded, as FFTW may plan a transform in another way."""
    return [
        {**item.as_json(), "sdr_db": round(item.more["sdr_db"], 3), "si_sdr_db": None}
        if isinstance(item, Row)
        else str(item)
        for item in found
    ]


@pytest.mark.usefixtures("made_up_weights")
def test_a_process_finds_what_this_one_does(cases: list[Case]) -> None:
    low = Setting("low", PLANS["low"].latency_ms, False, 0.0, True)
    cases = [*cases[:2], cases[2].only([low])]
    child = Child()
    try:
        for case in cases:
            assert told(child.measure(case)) == told(quality_child.measure_here(case))
    finally:
        child.kill()
        child.close()


def test_several_processes_measure_all_songs_in_order(cases: list[Case]) -> None:
    said: list[str] = []
    outcome = run_cases(cases, 2, KeptResults(None), said.append)
    assert [(row.case, row.contender) for row in outcome.rows] == [
        (title, name) for title in ("one", "two") for name in ("mixture", "oracle")
    ]
    assert list(outcome.unusable) == ["bad"]
    assert sum(line.startswith("[") for line in said) == 4


def test_a_process_that_dies_ends_no_other_song(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, started = quality_child.child.command, 0

    def command(module: str) -> list[str]:
        nonlocal started
        started += 1
        dying = ["python", "-c", "import os, sys; sys.stdin.readline(); os.abort()"]
        return whole(module) if started > 1 else [whole("x")[0], *dying[1:]]

    monkeypatch.setattr(quality_child.child, "command", command)
    child = Child()
    try:
        assert told(child.measure(cases[1])) == [
            "its process ended: exit status -6, perhaps for memory"
        ]
        assert len(told(child.measure(cases[2]))) == 2
    finally:
        child.kill()
        child.close()


def test_whoever_ends_the_run_ends_its_processes(
    cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    whole = quality_child.subprocess.Popen
    busy = """import time; print('{"failed": "so far"}', flush=True); time.sleep(600)"""

    def popen(words, **options):
        started.append(whole([words[0], "-c", busy], **options))
        return started[-1]

    monkeypatch.setattr(quality_child.subprocess, "Popen", popen)

    def say(text: str) -> None:
        raise RtsepError("the disk is full")

    with pytest.raises(RtsepError, match="the disk is full"):
        run_cases(cases, 2, KeptResults(None), say)
    assert started and all(program.returncode is not None for program in started)


# --- options ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("made_up_weights")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--masks", "all"), "--masks must be ratio or alone: got 'all'"),
        (("--stem", "drums"), "no stem 'drums'"),
        (("--levels", "loud"), "--levels must be numbers like 0,-12,-20: got 'loud'"),
        (("--speeds", "0.9,fast"), "--speeds must be numbers like 0.95,1,1.05: got '0.9,fast'"),
        (("--speeds", "0.4"), "--speeds must be from 0.5 to 2: got 0.4"),
        (("--plans", "fast"), "unknown plan 'fast'"),
        (("--plans", "none", "--bounds", "none"), "nothing is to be measured"),
        (("--bounds", "roof"), "--bounds must be oracle or mixture or hpss or low-pass or none"),
        (("--against", "nowhere"), "--against nowhere: there is no such folder"),
        (("--against", "low=."), "'low' is a row already"),
        (("--against", "a=.", "--against", "a=.."), "two folders are called a"),
        (("--against", ".", "--speeds", "0.9"), "--against needs songs at their own speed"),
        (("--musdb", "nowhere"), "--musdb nowhere has no folder test"),
        (("--results", __file__), "is a file: name a folder"),
    ],
)
def test_impossible_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    write_song(tmp_path / "one", STEMS)
    status, _, err = run(capsys, tmp_path, *words)
    assert status == 2
    assert message in err.replace("\n", " ")


def test_songs_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys)
    assert status == 2
    assert "name songs, demo, or --musdb DIR" in err

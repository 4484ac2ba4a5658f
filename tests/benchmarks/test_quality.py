"""`rtsep-bench quality`: which songs it finds, and what it says of known separations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.cli import bench
from rtsep.errors import UsageError
from rtsep.live.plans.plan import PLANS
from rtsep_bench import demo_song, quality, true_stems
from rtsep_bench.evaluation import sdr_db

RATE = 44_100
STEMS = ("vocals", "drums", "bass")


def sound(seed: int, seconds: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (round(seconds * RATE), 2))


def write_song(folder: Path, stems: tuple[str, ...] = STEMS) -> dict[str, np.ndarray]:
    folder.mkdir(parents=True)
    sounds = {stem: sound(seed) for seed, stem in enumerate(stems)}
    for stem, samples in sounds.items():
        soundfile.write(folder / f"{stem}.wav", samples, RATE, "FLOAT")
    (folder / "cover.txt").write_text("no sound")
    return sounds


@pytest.mark.parametrize("place", ["", "one"], ids=["folder of songs", "song"])
def test_a_folder_of_stems_is_their_sum_at_its_own_length(tmp_path: Path, place: str) -> None:
    stems = write_song(tmp_path / "one")
    (song,) = true_stems.songs([str(tmp_path / place)], "drums")
    assert song.name == "one"
    np.testing.assert_allclose(song.mixture, sum(stems.values()), atol=1e-6)
    np.testing.assert_allclose(song.true, stems["drums"], atol=1e-6)


def test_accompaniment_is_all_but_the_vocals(tmp_path: Path) -> None:
    stems = write_song(tmp_path / "one")
    (song,) = true_stems.songs([str(tmp_path)], "accompaniment")
    np.testing.assert_allclose(song.true, stems["drums"] + stems["bass"], atol=1e-6)


def test_stem_files_and_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stems = {name: sound(seed) for seed, name in enumerate(["drums", "bass", "other", "vocals"])}
    everything_else = stems["drums"] + stems["bass"] + stems["other"]
    monkeypatch.setattr(
        demo_song, "true_stems", lambda path: stems | {"accompaniment": everything_else}
    )
    file = tmp_path / "a song.stem.mp4"
    file.touch()
    monkeypatch.setattr(demo_song, "fetch", lambda: file)
    found = true_stems.songs(["demo", str(tmp_path)], "vocals")
    assert [song.name for song in found] == ["a song", "a song"]
    np.testing.assert_allclose(found[0].mixture, sum(stems.values()))
    (backing,) = true_stems.songs(["demo"], "accompaniment")
    np.testing.assert_allclose(backing.true, everything_else)


def test_places_without_songs_are_named(tmp_path: Path) -> None:
    write_song(tmp_path / "one", ("drums", "bass"))
    with pytest.raises(UsageError, match="holds no song: .* vocals"):
        true_stems.songs([str(tmp_path)], "vocals")
    with pytest.raises(UsageError, match=r"nowhere is not there: .* demo"):
        true_stems.songs([str(tmp_path / "nowhere")], "vocals")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    try:
        status = bench.main(["quality", *map(str, words)])
    except SystemExit as error:
        assert isinstance(error.code, int)
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.usefixtures("made_up_weights")
def test_relative_is_to_classic_with_ratio_masks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    write_song(tmp_path / "one")
    write_song(tmp_path / "two")
    noise_db = {("classic", True): -20, ("classic", False): -17, ("low", True): -15}

    def separate(config, nets, plan, stem, song, setting):
        noise = song.true * 10 ** (noise_db.get((plan.name, setting.ratio), -10) / 20)
        return song.true + noise

    monkeypatch.setattr(quality, "_separate", separate)
    json_file = tmp_path / "q.json"
    status, out, err = run(
        capsys, tmp_path, "--plans", "low,classic", "--masks", "ratio,alone",
        "--json", json_file, "--plot", tmp_path / "q.png",
    )  # fmt: skip
    assert status == 0, err
    lines = [line.replace("│", " ").split() for line in out.splitlines() if "│" in line]
    shown = {(line[0], line[1]): (line[2], line[5], line[6]) for line in lines}
    assert shown == {
        ("low", "ratio"): ("93", "15.00", "-5.00"),
        ("low", "alone"): ("93", "10.00", "-10.00"),
        ("classic", "ratio"): ("5944", "20.00", "+0.00"),
        ("classic", "alone"): ("5944", "17.00", "-3.00"),
    }
    rows = json.loads(json_file.read_text())["rows"]
    assert {(row["contender"], row["case"], row["ratio"]) for row in rows} == {
        (plan, song, ratio)
        for plan in ("low", "classic")
        for song in ("one", "two")
        for ratio in (True, False)
    }
    assert (tmp_path / "q.png").stat().st_size > 10_000


def test_a_song_at_another_speed_is_shorter_and_higher() -> None:
    tone = np.repeat(np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[:, np.newaxis], 2, axis=1)
    song = true_stems.Song("one", tone.astype(np.float32), 0.5 * tone.astype(np.float32))
    assert true_stems.at_speed(song, 1.0) is song
    faster = true_stems.at_speed(song, 1.25)
    assert faster.name == "one@1.25"
    assert len(faster.mixture) == pytest.approx(RATE / 1.25, abs=1)
    spectrum = np.abs(np.fft.rfft(faster.mixture[:, 0]))
    assert np.argmax(spectrum) * RATE / len(faster.mixture) == pytest.approx(550, abs=1)
    np.testing.assert_allclose(faster.true, 0.5 * faster.mixture, atol=1e-6)


def test_many_songs_are_summed_up_by_their_extremes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    made_up_weights: None,
) -> None:  # fmt: skip
    write_song(tmp_path / "one")
    speeds = (0.9, 0.95, 1, 1.02, 1.04, 1.06, 1.08)

    def separate(config, nets, plan, stem, song, setting):
        _, _, speed = song.name.partition("@")
        better_db = 100 * (float(speed or 1) - 1) if plan.name == "low" else 0
        return song.true + song.true * 10 ** ((-20 - better_db) / 20)

    monkeypatch.setattr(quality, "_separate", separate)
    status, out, err = run(
        capsys, tmp_path, "--plans", "low,classic", "--speeds", ",".join(map(str, speeds))
    )
    assert status == 0, err
    (low,) = (line.split() for line in out.replace("│", " ").splitlines() if " low " in line)
    mean_db = 100 * (np.mean(speeds) - 1)
    assert low[5:7] == [f"{20 + mean_db:.2f}", f"{mean_db:+.2f}"]
    assert low[-2:] == ["-10.00", "+8.00"]


@pytest.mark.usefixtures("made_up_weights")
def test_the_network_level_makes_up_for_a_quiet_mixture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stems = write_song(tmp_path / "one")
    json_file = tmp_path / "q.json"
    status, _, err = run(
        capsys, tmp_path, "--plans", "low", "--levels", "0,-26", "--json", json_file
    )
    assert status == 0, err
    rows = json.loads(json_file.read_text())["rows"]
    sdr = {(row["level_db"], row["auto_level"]): row["sdr_db"] for row in rows}
    assert sdr[-26, True] == pytest.approx(sdr[0, True], abs=1e-3)
    assert abs(sdr[-26, False] - sdr[0, False]) > 0.01
    # Aligned with the true stem: something of it is heard, if only as half of the mixture.
    assert sdr[0, True] > sdr_db(np.roll(sum(stems.values()), 1000, axis=0), stems["vocals"])
    assert rows[0]["latency_ms"] == PLANS["low"].latency_ms


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
    ],
)
def test_impossible_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, str], message: str
) -> None:
    write_song(tmp_path / "one")
    status, _, err = run(capsys, tmp_path, *words)
    assert status == 2
    assert message in err.replace("\n", " ")

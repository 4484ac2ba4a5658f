"""`rtsep-bench speech`: pairs at the level asked for, and what it says of known separations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.cli import bench
from rtsep.cli.uses import VOICES_ONLY, dialogue
from rtsep.errors import MissingLibraryError, RtsepError, UsageError
from rtsep.live.plans.plan import PLANS
from rtsep.live.session import SessionSettings
from rtsep.weights.load_nets import load_nets
from rtsep_bench import speech, spoken
from rtsep_bench.evaluation import si_sdr_db

RATE = 44_100


def noise(seed: int, seconds: float) -> np.ndarray:
    samples = (round(seconds * RATE), 2)
    return np.random.default_rng(seed).uniform(-0.3, 0.3, samples).astype(np.float32)


def write(path: Path, sound: np.ndarray) -> Path:
    soundfile.write(path, sound, RATE, "FLOAT")
    return path


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "voices").mkdir()
    for seed, name in enumerate(("anna", "otto", "uwe")):
        write(tmp_path / "voices" / f"{name}.wav", noise(seed, 1.0))
    return {"voices": tmp_path / "voices", "music": write(tmp_path / "band.wav", noise(9, 3.0))}


@pytest.mark.parametrize("snr_db", [0.0, 5.0])
def test_the_mixture_has_the_level_asked_for(snr_db: float) -> None:
    voice, music = spoken.Speech("a", 0.01 * noise(0, 1.0)), spoken.Speech("b", noise(1, 1.0))
    pair = speech.over(voice, music, snr_db)
    rest = pair.mixture - pair.speech
    ratio_db = 10 * np.log10(np.sum(pair.speech**2) / np.sum(rest**2))
    assert ratio_db == pytest.approx(snr_db, abs=1e-3)
    assert si_sdr_db(pair.mixture, pair.speech) == pytest.approx(snr_db, abs=0.2)
    assert np.abs(pair.mixture).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    assert pair.name == "a over b"


def test_silence_cannot_be_a_pair() -> None:
    silent = spoken.Speech("silent", np.zeros((100, 2), np.float32))
    for pair in (
        (silent, spoken.Speech("b", noise(1, 1.0))),
        (spoken.Speech("b", noise(1, 1.0)), silent),
    ):
        with pytest.raises(RtsepError, match="silent is silent"):
            speech.over(*pair, 0.0)


def test_long_files_are_cut_and_short_ones_repeated(tmp_path: Path) -> None:
    long, short = noise(0, 2.5), noise(1, 0.4)
    first, second = spoken.speeches(str(write(tmp_path / "long.wav", long)), 1.0)
    assert [first.name, second.name] == ["long-1", "long-2"]
    np.testing.assert_array_equal(np.concatenate([first.sound, second.sound]), long[: 2 * RATE])
    (piece,) = spoken.speeches(str(write(tmp_path / "short.wav", short)), 1.0)
    assert piece.name == "short"
    np.testing.assert_array_equal(piece.sound, np.concatenate([short] * 3)[:RATE])


def test_places_without_speech_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"nobody is not there: .* espeak"):
        spoken.speeches(str(tmp_path / "nobody"), 1.0)
    with pytest.raises(UsageError, match="holds no speech"):
        spoken.speeches(str(tmp_path), 1.0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingLibraryError, match="espeak-ng is not installed: .* --speech"):
        spoken.speeches("espeak", 1.0)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_reads_every_text_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    read = spoken.speeches("espeak", 3.0)
    assert len(read) >= len(spoken.READERS)
    assert {voice.name.rsplit("-", 1)[0][:2] for voice in read} == set(spoken.TEXTS)
    for voice in read:
        assert len(voice.sound) == 3 * RATE and np.abs(voice.sound).max() > 0.01
    again = spoken.speeches("espeak", 3.0)
    np.testing.assert_array_equal(read[0].sound, again[0].sound)
    monkeypatch.setattr(spoken, "READERS", (spoken.Reader("zz", "m1", 100),))
    monkeypatch.setitem(spoken.TEXTS, "zz", "text")
    with pytest.raises(RtsepError, match="did not read with the voice"):
        spoken.speeches("espeak", 3.0)


@pytest.mark.usefixtures("made_up_weights")
@pytest.mark.parametrize("masking", ["ratio", "independent"])
def test_what_is_measured_is_what_is_heard(masking: str) -> None:
    mixture, plan = noise(3, 1.0), PLANS["low"]
    settings = SessionSettings(stems=("vocals",), paced=False)
    nets = dict(zip(settings.config.stems, load_nets(settings.config), strict=True))
    stems = speech.separated(mixture, settings, masking, nets, plan)
    np.testing.assert_allclose(sum(stems.values()), mixture, atol=3e-6)
    heard = speech.mix_of(stems, dialogue(20))
    voices, rest = speech.mix_of(stems, VOICES_ONLY), mixture - stems["vocals"]
    np.testing.assert_array_equal(voices, stems["vocals"])
    np.testing.assert_allclose(heard, voices + 0.1 * rest, atol=3e-6)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = bench.main(["speech", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.usefixtures("made_up_weights")
def test_gains_are_those_of_known_separations(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    places: dict[str, Path],
) -> None:  # fmt: skip
    pytest.importorskip("matplotlib")
    pairs: list[speech.Pair] = []
    over = speech.over
    monkeypatch.setattr(speech, "over", lambda *pair: pairs.append(over(*pair)) or pairs[-1])

    def separated(mixture, settings, masking, nets, plan):
        (pair,) = (pair for pair in pairs if pair.mixture is mixture)
        leaking = 0.1 if masking == "ratio" else 0.5
        voices = pair.speech + leaking * (mixture - pair.speech)
        return {"vocals": voices, "accompaniment": mixture - voices}

    monkeypatch.setattr(speech, "separated", separated)
    json_file = tmp_path / "speech.json"
    status, out, err = run(
        capsys, places["music"], "--speech", places["voices"], "--seconds", 1, "--plans", "low",
        "--masks", "ratio,alone", "--dialogue", "20", "--json", json_file,
        "--plot", tmp_path / "speech.png",
    )  # fmt: skip
    assert status == 0, err
    written = json.loads(json_file.read_text())
    assert written["settings"]["pairs"] == 3
    rows = written["rows"]
    assert {row["case"] for row in rows} == {
        f"{name} over band" for name in ("anna", "otto", "uwe")
    }
    assert {row["snr_db"] for row in rows} == {0, 5}
    # What is left of the music: 0.1 or 0.5 in the voices, and a tenth of the others' share.
    left = {("voices-only", True): 0.1, ("voices-only", False): 0.5,
            ("dialogue 20", True): 0.19, ("dialogue 20", False): 0.55}  # fmt: skip
    for row in rows:
        expected_db = -20 * np.log10(left[row["use"], row["ratio"]])
        assert row["gain_db"] == pytest.approx(expected_db, abs=0.3), row
        assert row["si_sdr_db"] - row["input_si_sdr_db"] == pytest.approx(row["gain_db"])
    assert "dialogue 20" in out and "speech over music, 3 pairs" in out
    assert (tmp_path / "speech.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--masks", "all"), "--masks must be ratio or alone: got 'all'"),
        (("--snrs", "loud"), "--snrs must be numbers like 0,5: got 'loud'"),
        (("--dialogue", "much"), "--dialogue must be numbers like 6,12: got 'much'"),
        (("--plans", "fast"), "unknown plan 'fast'"),
    ],
)
def test_impossible_options(
    capsys: pytest.CaptureFixture[str], places: dict[str, Path], words: tuple[str, str],
    message: str,
) -> None:  # fmt: skip
    status, _, err = run(capsys, places["music"], "--speech", places["voices"], *words)
    assert status == 2
    assert message in err and err.count("\n") == 1

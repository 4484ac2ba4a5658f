"""rtsep-monitor with the nets of some stems only."""

import json

import numpy as np
import pytest
import soundfile

from rtsep.cli.monitor import main
from rtsep.cli.monitor_arguments import build_parser, session_settings

pytestmark = pytest.mark.usefixtures("made_up_weights")
RATE = 44_100


@pytest.fixture
def song(tmp_path):
    audio = (0.1 * np.random.default_rng(1).standard_normal((2 * RATE, 2))).astype(np.float32)
    soundfile.write(tmp_path / "song.wav", audio, RATE, subtype="FLOAT")
    return tmp_path / "song.wav", audio


def _play(path, out, words):
    options = f"--input-file {path} --output-file {out} --latency 64/2/1/0.5/hann -q {words}"
    assert main(options.split()) == 0
    return soundfile.read(out, dtype="float32")[0]


@pytest.mark.parametrize("ratio", ["--ratio", "--no-ratio"])
def test_a_stem_and_all_but_that_stem_add_up(song, tmp_path, ratio):
    path, audio = song
    stats = tmp_path / "stats.json"
    vocals = _play(path, tmp_path / "a.wav", f"--stem vocals {ratio} --stats {stats}")
    without = _play(path, tmp_path / "b.wav", f"--mute vocals {ratio}")
    assert min(np.abs(vocals).max(), np.abs(without).max()) > 0.01
    np.testing.assert_allclose(vocals + without, audio, atol=1e-6)
    written = json.loads(stats.read_text())
    assert written["stems"] == ["vocals", "accompaniment"]
    assert len(written["worker_ms"]) == (2 if ratio == "--ratio" else 1)
    assert written["late_masks"] == 0


def test_what_is_recorded_are_the_stems_named_and_the_rest(song, tmp_path):
    path, audio = song
    record = tmp_path / "rec"
    words = f"-m spleeter:4stems --stem drums --stem bass --no-ratio --record {record}"
    mix = _play(path, tmp_path / "out.wav", words)
    names = sorted(path.stem for path in record.iterdir())
    assert names == ["bass", "drums", "rest"]
    stems = {name: soundfile.read(record / f"{name}.wav")[0] for name in names}
    np.testing.assert_allclose(sum(stems.values()), audio, atol=1e-6)
    np.testing.assert_allclose(mix, stems["drums"] + stems["bass"], atol=1e-6)


@pytest.mark.parametrize(
    ("words", "independent"),
    [
        ("", ["vocals"]),
        ("--mute vocals", ["vocals"]),
        ("--stem bass --stem drums", ["drums", "bass"]),
        ("--stem vocals --gain drums=-6", ["vocals", "drums"]),
        ("--all-stems", ["vocals", "drums", "bass"]),
        ("--record rec --stem other", ["other"]),
        ("--mute vocals --mute drums --mute bass --mute other", ["vocals", "drums", "bass"]),
    ],
)
def test_the_nets_that_run_are_those_of_the_stems_named(words, independent):
    args = build_parser().parse_args(["-m", "spleeter:4stems", "--no-ratio", *words.split()])
    assert list(session_settings(args).net_stems("independent")) == independent


def test_five_stems_need_all_their_nets(capsys):
    assert main(["-m", "spleeter:5stems", "--stem", "piano", "--no-ratio"]) == 2
    err = capsys.readouterr().err
    assert "softmax across all of them: run them all, with the ratio mask" in err
    assert err.count("\n") == 1

"""The named uses: what is heard, which options they exclude, which stem the keys act on."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rtsep.cli import monitor, monitor_devices, separate
from rtsep.cli.monitor_arguments import build_parser, session_settings
from rtsep.cli.terminal.keys import FADE_S, handle_key
from rtsep.control.mixing import MixCommands
from rtsep.live import INDEPENDENT, RATIO
from rtsep.live.engine_maker import EngineMaker

RATE = 44_100
DB_9 = 10 ** (-9 / 20)


@pytest.fixture
def song(tmp_path):
    audio = (0.1 * np.random.default_rng(2).standard_normal((RATE, 2))).astype(np.float32)
    # The loudest passage is at full scale.
    audio[RATE // 3 : RATE // 2] *= 1 / np.abs(audio[RATE // 3 : RATE // 2]).max()
    soundfile.write(tmp_path / "song.wav", audio, RATE, subtype="FLOAT")
    return tmp_path / "song.wav", audio


def _status(program, words):
    try:
        return program.main(words.split())
    except SystemExit as end:
        return end.code


def _play(path, out, words):
    options = f"--input-file {path} --output-file {out} --latency classic -q {words}"
    assert _status(monitor, options) == 0
    return soundfile.read(out, dtype="float32")[0]


@pytest.mark.parametrize("masking", [RATIO, INDEPENDENT])
@pytest.mark.parametrize(
    ("words", "voices", "rest"),
    [
        ("--karaoke", 0, 1),
        ("--voices-only", 1, 0),
        ("--dialogue 9", 1, DB_9),
        ("--dialogue 9 --gain vocals=6", 10 ** (6 / 20), DB_9),
        ("--dialogue 9 --gain drums=-3", 1, DB_9),
        ("-m spleeter:4stems --karaoke", 0, 1),
        ("-m spleeter:4stems --voices-only", 1, 0),
        ("-m spleeter:4stems --dialogue 9", 1, DB_9),
    ],
)
def test_uses_are_names_for_gains(words, voices, rest, masking):
    settings = session_settings(build_parser().parse_args(words.split()))
    gains = settings.mix_gains(masking)
    assert gains.pop("vocals") == pytest.approx(voices)
    if "drums" in words:
        assert gains.pop("drums") == pytest.approx(rest * 10 ** (-3 / 20))
    assert gains and list(gains.values()) == pytest.approx([rest] * len(gains))


@pytest.mark.usefixtures("made_up_weights")
@pytest.mark.parametrize("ratio", ["--ratio", "--no-ratio"])
def test_dialogue_lowers_the_rest_of_a_file_and_cannot_clip(song, tmp_path, ratio):
    path, audio = song
    voices = _play(path, tmp_path / "voices.wav", f"--voices-only {ratio}")
    rest = _play(path, tmp_path / "rest.wav", f"--karaoke {ratio}")
    np.testing.assert_allclose(voices + rest, audio, atol=3e-6)
    heard = _play(path, tmp_path / "heard.wav", f"--dialogue 9 {ratio}")
    assert np.abs(rest).max() > 0.01
    np.testing.assert_allclose(heard, voices + DB_9 * rest, atol=3e-6)
    assert np.sum(heard**2) < np.sum(audio**2)


@pytest.mark.usefixtures("made_up_weights")
def test_recordings_are_of_whole_stems(song, tmp_path):
    path, audio = song
    record, stats = tmp_path / "rec", tmp_path / "stats.json"
    _play(path, tmp_path / "out.wav", f"--dialogue 9 --record {record} --stats {stats}")
    stems = [soundfile.read(file)[0] for file in record.iterdir()]
    np.testing.assert_allclose(sum(stems), audio, atol=3e-6)
    assert json.loads(stats.read_text())["stems"] == ["vocals", "accompaniment"]


USES = ("--karaoke", "--voices-only", "--dialogue 9")
OTHERS = ("--stem drums", "--mute drums", "--all-stems")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        *((f"{use} {other}", f"{use.split()[0]} cannot be combined with {other.split()[0]}")
          for use in USES for other in OTHERS),
        *((f"{use} {other}", f"{other.split()[0]}: not allowed with argument {use.split()[0]}")
          for use in USES for other in USES if use != other),
        *((f"--dialogue={value}", "--dialogue: must be decibels, more than 0 and at most 60: got")
          for value in ("0", "-3", "61", "nan", "inf", "loud")),
    ],
)  # fmt: skip
def test_impossible_combinations_are_told_in_one_line(words, told, capsys):
    assert _status(monitor, words) == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1


@pytest.mark.usefixtures("made_up_weights")
@pytest.mark.parametrize("more", ["", "-m spleeter:4stems --no-ratio --gain bass=0"])
def test_f_fades_the_singer_in_and_out(more):
    words = f"--karaoke --latency low {more}"
    args = build_parser().parse_args(words.split())
    engine = EngineMaker(session_settings(args))()
    desk = monitor_devices.mixing_desk(args, engine)
    assert desk.selected == "vocals"
    vocals = engine.stems.index("vocals")

    def gains():
        every = engine.gains.tolist()
        return every.pop(vocals), every

    start, rest = gains()
    assert start == 0 and rest == pytest.approx([1] * len(rest))
    for number, target in enumerate((1, 0, 1)):
        handle_key("f", MixCommands(desk, dict), SimpleNamespace())
        begun_s = 10 * number
        desk.tick(begun_s)
        desk.tick(begun_s + FADE_S / 2)
        assert gains()[0] == pytest.approx(0.5)
        desk.tick(begun_s + FADE_S)
        assert gains() == (target, rest)


@pytest.mark.parametrize(
    ("words", "stems"), [("--karaoke", ("no_vocals",)), ("--voices-only", ("vocals",))]
)
def test_files_are_separated_for_a_use(words, stems, capsys):
    arguments = separate.build_parser().parse_args([*words.split(), "song.mp3"])
    assert separate.chosen_stems(arguments) == stems
    assert _status(separate, f"{words} --two-stems vocals song.mp3") == 2
    assert "not allowed with argument" in capsys.readouterr().err

"""The person's file of settings, and presets: what counts, and what is refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsep.cli import play_arguments, train_arguments
from rtsep.cli.bench import main as bench
from rtsep.cli.common import OneLineParser
from rtsep.cli.config_file import FILE_VARIABLE, PROGRAMS
from rtsep.cli.monitor_arguments import build_parser
from rtsep.cli.separate_arguments import build_parser as separate_parser
from rtsep.cli.uses import KARAOKE, VOICES_ONLY

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
[rtsep-monitor]
latency = "low"
reconnect = 5
stem = ["drums", "bass"]
adaptive = true
ratio = false
karaoke = true
control = true

[rtsep-play]
loop = [1.5, 20]
mute = "bass"
karaoke = true
gain = ["drums=-6"]

[rtsep-separate]
stems = "vocals"

[rtsep-train]
output = "run"

[preset.studio]
latency = "classic"
stem = "vocals"
adaptive = false
voices-only = true
[preset.studio.rtsep-monitor]
latency = "balanced"
control = "127.0.0.1:9000"

[preset.two]
two-stems = "bass"

[preset.song.rtsep-play]
key = -2
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Writes the file of settings."""
    path = tmp_path / "config.toml"

    def write(text):
        path.write_text(text)
        monkeypatch.setenv(FILE_VARIABLE, str(path))
        return path

    return write


def monitor(words=""):
    return build_parser().parse_args(words.split())


def test_the_programs_table_stands_for_what_is_not_typed(config):
    config(SETTINGS)
    args = monitor()
    assert (args.latency, args.reconnect, args.stem) == ("low", 5.0, ["drums", "bass"])
    assert (args.adaptive, args.ratio, args.use) == (True, False, KARAOKE)
    assert args.control == monitor("--control").control is not None
    # Not named in the file: as without it.
    assert (args.on_late, args.gain, args.precision) == ("hold", [], None)


def test_what_is_typed_counts_for_more(config):
    config(SETTINGS)
    args = monitor("--latency 120ms --stem vocals --stem other --voices-only --ratio")
    assert (args.latency, args.stem) == ("120ms", ["vocals", "other"])
    assert (args.use, args.ratio, args.reconnect) == (VOICES_ONLY, True, 5.0)


def test_a_preset_counts_for_more_than_the_table_and_its_own_table_for_more_still(config):
    config(SETTINGS)
    # Abbreviated, as argparse allows.
    args = monitor("--pres studio")
    assert (args.latency, args.stem, args.adaptive) == ("balanced", ["vocals"], False)
    assert (args.use, args.reconnect, args.control.port) == (VOICES_ONLY, 5.0, 9000)
    assert monitor("--preset=studio --latency auto --karaoke").use is KARAOKE


def test_options_with_several_values_and_required_ones(config):
    config(SETTINGS)
    args = play_arguments.build_parser().parse_args(["song.mp3", "--preset", "song"])
    assert (list(args.loop), args.mute, args.gain) == (
        [1.5, 20.0],
        ["bass", "vocals"],
        ["drums=-6"],
    )
    assert args.key == -2
    assert train_arguments.build_parser().parse_args(["songs"]).output == Path("run")


def test_a_typed_option_takes_the_place_of_one_that_it_excludes(config):
    config(SETTINGS)
    args = separate_parser().parse_args(["song.mp3", "--two-stems", "drums"])
    assert (args.stems, args.two_stems) == (None, "drums")
    assert separate_parser().parse_args(["song.mp3"]).stems == "vocals"
    args = separate_parser().parse_args(["song.mp3", "--preset", "two"])
    assert (args.stems, args.two_stems) == (None, "bass")


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("[rtsep-monitor]\nlatncy = 1", "", "[rtsep-monitor] latncy: rtsep-monitor has no option"),
        ("[rtsep-moniter]", "", "no program 'rtsep-moniter'"),
        ("[rtsep-monitor]\nreconnect = -1", "", "[rtsep-monitor] reconnect = -1: "),
        ("[rtsep-monitor]\non-late = 'wet'", "", "[rtsep-monitor] on-late = 'wet': invalid choice"),
        ("[rtsep-monitor]\nsystem = 'yes'", "", "system = 'yes': must be true or false"),
        ("[rtsep-monitor]\nlatency = true", "", "latency = true: needs a value"),
        ("[rtsep-monitor]\nlatency = ['a', 'b']", "", "takes one value, not a list"),
        ("[rtsep-monitor]\nmute = [{a = 1}]", "", "must be a text or a number"),
        ("[rtsep-monitor]\nkaraoke = true\ndialogue = 6", "", "dialogue: not allowed with karaoke"),
        ("[rtsep-monitor]\nlist-devices = true", "", "list-devices: is for the command line alone"),
        ("rtsep-monitor = 3", "", "rtsep-monitor must be a table: write [rtsep-monitor]"),
        ("[preset]\nkaraoke = true", "", "preset.karaoke must be a table"),
        ("[preset.a.rtsep-monitor]\nx-y = 1", "--preset a", "[preset.a.rtsep-monitor] x-y: "),
        ("[preset.a.rtsep-play]\nkey = 1", "--preset a", "for rtsep-play, not for rtsep-monitor"),
        ("[preset.karaoke]\nsystem = true", "--preset karaok", "did you mean karaoke?"),
        ("[rtsep-monitor.stem]", "", "[rtsep-monitor] stem = {}: must be a text or a number"),
        ("[rtsep-monitor", "", "is no TOML: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(config, capsys, text, words, said):
    path = config(text)
    with pytest.raises(SystemExit) as ended:
        monitor(words)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert said in error and str(path) in error
    assert error.startswith("rtsep-monitor: error: ") and error.count("\n") == 1


def test_presets_are_listed(config, capsys):
    from rtsep.cli import monitor as program

    config(SETTINGS)
    assert program.main(["--list-presets"]) == 0
    assert capsys.readouterr().out.split() == ["song", "studio", "two"]
    config("")
    assert program.main(["--list-presets"]) == 0
    assert capsys.readouterr().out == "no presets (docs/presets.md)\n"


def test_files_that_are_not_there_or_cannot_be_read(tmp_path, monkeypatch, capsys):
    for name, said in ((tmp_path / "none.toml", "no such file"), (tmp_path, "cannot read")):
        monkeypatch.setenv(FILE_VARIABLE, str(name))
        with pytest.raises(SystemExit):
            monitor()
        assert said in (error := capsys.readouterr().err) and error.count("\n") == 1
        # Help helps, whatever is there.
        with pytest.raises(SystemExit) as ended:
            monitor("--help")
        assert ended.value.code == 0
        assert "--preset NAME" in capsys.readouterr().out
    monkeypatch.delenv(FILE_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert monitor().latency == "auto"
    with pytest.raises(SystemExit):
        monitor("--preset studio")
    assert "--preset studio: there is no file of settings" in capsys.readouterr().err


def test_built_in_values_of_what_is_excluded_stay_as_argparse_reads_them(config):
    config("[rtsep-play]\na = 1")
    parser = OneLineParser("rtsep-play")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--a", type=float)
    group.add_argument("--b", type=int, default="2")
    assert (parser.parse_args([]).a, parser.parse_args([]).b) == (1.0, 2)


def test_commands_have_tables_of_their_own(config, capsys):
    config("[rtsep-bench.kernels]\nbins = 'many'")
    with pytest.raises(SystemExit):
        bench(["kernels"])
    assert "[rtsep-bench.kernels] bins = 'many': " in capsys.readouterr().err
    for text, said in (
        ("[rtsep-bench]\nbins = 3", "[rtsep-bench] bins: rtsep-bench has no such command"),
        ("[rtsep-bench]\npeers = 3", "rtsep-bench.peers must be a table"),
        ("[preset.a.rtsep-bench.kernel]", "[preset.a.rtsep-bench] kernel: "),
    ):
        config(text)
        with pytest.raises(SystemExit):
            bench(["kernels"])
        assert said in (error := capsys.readouterr().err) and error.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the place of the file differs")
def test_the_file_is_found_at_home_and_without_one_nothing_is_imported(tmp_path):
    program = (
        "import sys; from rtsep.cli.monitor_arguments import build_parser;"
        "print(build_parser().parse_args([]).latency, 'tomllib' in sys.modules)"
    )
    environ = {**os.environ, "HOME": str(tmp_path)}
    del environ[FILE_VARIABLE]
    environ.pop("XDG_CONFIG_HOME", None)

    def said():
        return subprocess.run(
            [sys.executable, "-c", program], env=environ, check=True, capture_output=True, text=True
        ).stdout.split()

    assert said() == ["auto", "False"]
    folder = tmp_path / ".config" / "rtsep"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("[rtsep-monitor]\nlatency = 'low'\n")
    assert said()[0] == "low"


def test_every_program_may_have_a_table():
    text = (ROOT / "pyproject.toml").read_text()
    assert {line.split()[0] for line in text.splitlines() if '= "rtsep.cli.start:' in line} == set(
        PROGRAMS
    )

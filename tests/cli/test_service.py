"""rtsep-monitor as a service: the unit that is written, and what is left alone."""

import os
import subprocess
import sys
import sysconfig

import pytest

from rtsep.cli.monitor import main

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux"),
    pytest.mark.usefixtures("made_up_weights"),
]
# What systemd would read otherwise: a quote, a variable, a specifier, spaces.
ODD = 'my "$HOME" %h app\\'


@pytest.fixture
def units(tmp_path, monkeypatch):
    """The folder of the person's units; the program is installed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "rtsep-monitor"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(programs))
    return tmp_path / "config" / "systemd" / "user"


def test_the_unit_has_the_other_options(units, capsys):
    words = ["--system", "--install-service", "--karaoke", "--control"]
    assert main(words) == 0
    unit = units / "rtsep.service"
    program = units.parents[2] / "bin" / "rtsep-monitor"
    lines = unit.read_text().splitlines()
    assert f"ExecStart={program} --system --karaoke --control --quiet" in lines
    assert any(line.startswith("Environment=RTSEP_WEIGHTS=") for line in lines)
    said = capsys.readouterr().out
    assert "systemctl --user daemon-reload" in said
    assert "systemctl --user enable --now rtsep.service" in said
    # Its own is replaced, and removed.
    assert main(["--app", "mpv", "--install-service=rtsep", "-q"]) == 0
    assert f"ExecStart={program} --app mpv -q" in unit.read_text()
    assert main(["--uninstall-service"]) == 0
    assert not unit.exists()


@pytest.mark.needs("systemd")
def test_systemd_takes_the_unit(units, tmp_path):
    assert main(["--app", ODD, "--install-service", "quiet-room"]) == 0
    unit = units / "quiet-room.service"
    assert r'--app "my \"$$HOME\" %%h app\\" --quiet' in unit.read_text()
    checked = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(unit)], capture_output=True, text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    # It names the unit in what it finds; of what else this machine lacks it may speak.
    assert checked.returncode == 0, checked.stderr
    assert "quiet-room" not in checked.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--install-service", "other"], "was not written by rtsep-monitor"),
        (["--uninstall-service", "other"], "was not written by rtsep-monitor"),
        (["--uninstall-service", "none"], "there is no "),
        (["--install-service", "../rtsep"], "cannot be called '../rtsep'"),
        (["--install-service", "--record", "takes"], "--record takes: "),
        (["--install-service", "--system", "-i", "line"], "-i line: "),
    ],
)
def test_what_cannot_be_is_said_in_one_line(units, capsys, words, said):
    units.mkdir(parents=True)
    (units / "other.service").write_text("[Service]\nExecStart=/bin/true\n")
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert [path.name for path in units.iterdir()] == ["other.service"]

"""Setting up: what is passed over, what is run, and what is said where something fails."""

import importlib
import json
import sys
from pathlib import Path

import pytest

QUIETLY = ["env", "DEBIAN_FRONTEND=noninteractive"]
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def bootstrap(tmp_path, monkeypatch):
    """The module, its checkout an empty project, its environment this Python."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("bootstrap", "system_packages", "steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("bootstrap")
    log = tmp_path / "build" / "setup.log"
    for of in (module, sys.modules["steps"]):
        monkeypatch.setattr(of, "CHECKOUT", tmp_path)
        monkeypatch.setattr(of, "LOG", log)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp.json")
    log.parent.mkdir()
    return module


@pytest.fixture
def commands(bootstrap, monkeypatch):
    """Commands that would have been run; nothing is. Those that hold FAIL's words fail."""
    seen = []

    def note(command, timeout_s=None):
        seen.append(list(command))
        return not any(word in " ".join(command) for word in bootstrap.FAIL)

    def simulate(command, timeout_s=None):
        assert command[:2] == ["apt-get", "--simulate"]
        return "".join(f"Inst {name} (1.0 Debian [amd64])\n" for name in command[4:])

    monkeypatch.setattr(bootstrap, "FAIL", (), raising=False)
    system_packages = sys.modules["system_packages"]
    monkeypatch.setattr(bootstrap, "run_logged", note)
    monkeypatch.setattr(system_packages, "run_logged", note)
    monkeypatch.setattr(system_packages, "output_of", simulate)
    monkeypatch.setattr(bootstrap.ctypes.util, "find_library", lambda name: "libportaudio.so.2")
    return seen


def _systems_programs(monkeypatch, bootstrap, *names, user_id=1000):
    """Let only these programs be on the path."""
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: name if name in names else None)
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: user_id, raising=False)


def test_an_installation_is_made_once(bootstrap, commands):
    bootstrap.prepare(["test"])
    assert commands[-1][-2:] == ["--editable", ".[test]"]
    commands.clear()
    bootstrap.prepare(["test"])
    bootstrap.prepare([])
    assert commands == []


def test_more_extras_are_added_to_those_there(bootstrap, commands):
    bootstrap.prepare(["test"])
    bootstrap.prepare(["lint"])
    assert commands[-1][-1] == ".[lint,test]"
    assert json.loads(bootstrap.STAMP.read_text())["extras"] == ["lint", "test"]


def test_a_changed_project_is_installed_again(bootstrap, commands):
    bootstrap.prepare([])
    commands.clear()
    (bootstrap.CHECKOUT / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    bootstrap.prepare([])
    assert commands[-1][-1] == "."


def test_a_failed_installation_shows_its_log_and_is_tried_again(
    bootstrap, commands, monkeypatch, capsys
):
    bootstrap.prepare([])
    monkeypatch.setattr(bootstrap, "FAIL", ("--editable",))
    (bootstrap.CHECKOUT / "pyproject.toml").write_text("changed\n")
    with pytest.raises(bootstrap.SetupError, match=r"setup\.log"):
        bootstrap.prepare([])
    assert not bootstrap.STAMP.exists()


def test_the_log_keeps_what_commands_print(bootstrap):
    python = sys.executable
    assert bootstrap.run_logged([python, "-c", "print('hello')"])
    assert not bootstrap.run_logged([python, "-c", "raise SystemExit('went wrong')"])
    assert not bootstrap.run_logged([python, "-c", "import time; time.sleep(60)"], timeout_s=0.5)
    assert not bootstrap.run_logged(["no-such-program"])
    log = bootstrap.LOG.read_text()
    assert "hello" in log
    assert "went wrong" in log
    assert "timed out" in log
    assert "no-such-program" in log


def test_an_old_python_is_named(bootstrap, commands, monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 18))
    with pytest.raises(bootstrap.SetupError, match=r"3\.10 or later: .* is 3\.9\.18"):
        bootstrap.prepare([])
    assert commands == []


def test_errors_end_the_script_in_one_line(bootstrap, monkeypatch, capsys):
    def fail(extras, install_system):
        raise bootstrap.SetupError("no such luck")

    monkeypatch.setattr(bootstrap, "prepare", fail)
    with pytest.raises(SystemExit) as ending:
        bootstrap.start_in_environment("script.py")
    assert ending.value.code == 1
    assert capsys.readouterr().err == "error: no such luck\n"


def test_inside_the_environment_nothing_is_set_up(bootstrap, monkeypatch):
    monkeypatch.setenv(bootstrap.INSIDE, str(bootstrap.VENV))
    monkeypatch.delattr(bootstrap, "prepare")
    bootstrap.start_in_environment("script.py")
    # Nor do the programs that it starts believe to be this script.
    assert bootstrap.INSIDE not in bootstrap.os.environ


# --- making the environment -------------------------------------------------------------------


@pytest.fixture
def no_environment(bootstrap, commands, monkeypatch):
    monkeypatch.setattr(bootstrap, "PYTHON", bootstrap.VENV / "bin" / "python")
    monkeypatch.setattr(bootstrap.sys, "base_prefix", "/usr")
    return commands


def test_venv_is_preferred(bootstrap, no_environment, monkeypatch):
    _systems_programs(monkeypatch, bootstrap, "uv", "apt-get", user_id=0)
    bootstrap.prepare([])
    assert [sys.executable, "-m", "venv", "--clear", str(bootstrap.VENV)] in no_environment
    assert not any({"uv", "apt-get"} & set(command) for command in no_environment)


def test_uv_stands_in_for_a_missing_ensurepip(bootstrap, no_environment, monkeypatch):
    monkeypatch.setattr(bootstrap, "FAIL", ("import ensurepip",))
    _systems_programs(monkeypatch, bootstrap, "uv", "apt-get", user_id=0)
    bootstrap.prepare([])
    assert ["uv", "venv", "--clear", "--seed"] in [command[:4] for command in no_environment]
    assert not any("apt-get" in command for command in no_environment)


def test_root_installs_what_debian_leaves_out(bootstrap, no_environment, monkeypatch):
    _systems_programs(monkeypatch, bootstrap, "apt-get", user_id=0)
    monkeypatch.setattr(bootstrap, "FAIL", ("import ensurepip",))
    with pytest.raises(bootstrap.SetupError):
        bootstrap.prepare([])
    package = f"python3.{sys.version_info.minor}-venv"
    assert [command[-1] for command in no_environment if "apt-get" in command] == [
        "update",
        package,
    ]


def test_a_user_without_rights_is_told_the_package(bootstrap, no_environment, monkeypatch, capsys):
    _systems_programs(monkeypatch, bootstrap, "apt-get")
    monkeypatch.setattr(bootstrap, "FAIL", ("import ensurepip",))
    with pytest.raises(bootstrap.SetupError, match=r"apt install python3\.\d+-venv"):
        bootstrap.prepare([])
    assert not any("apt-get" in command for command in no_environment)
    assert "installing" not in capsys.readouterr().err


# --- PortAudio --------------------------------------------------------------------------------

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="comes with the wheel")


@pytest.fixture
def no_portaudio(bootstrap, commands, monkeypatch):
    monkeypatch.setattr(bootstrap.ctypes.util, "find_library", lambda name: None)
    return commands


@linux_only
@pytest.mark.parametrize(
    ("programs", "user_id", "expected"),
    [
        (("apt-get",), 0, [*QUIETLY, "apt-get", "install"]),
        (("dnf",), 0, ["dnf", "install"]),
        (("apt-get", "sudo"), 1000, ["sudo", "-n", *QUIETLY, "apt-get", "install"]),
    ],
)
def test_portaudio_is_installed_where_that_is_allowed(
    bootstrap, no_portaudio, monkeypatch, programs, user_id, expected
):
    _systems_programs(monkeypatch, bootstrap, *programs, user_id=user_id)
    bootstrap.prepare([])
    assert no_portaudio[-1][: len(expected)] == expected
    assert "portaudio" in no_portaudio[-1][-1]


@linux_only
def test_a_password_is_never_asked_for(bootstrap, no_portaudio, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "FAIL", ("sudo -n true",))
    _systems_programs(monkeypatch, bootstrap, "apt-get", "sudo")
    bootstrap.prepare([])
    assert not any("apt-get" in command for command in no_portaudio)
    lines = [line for line in capsys.readouterr().err.splitlines() if "PortAudio" in line]
    assert len(lines) == 1
    for word in ("libportaudio2", "Debian", "Fedora", "macOS", "Windows"):
        assert word in lines[0]


@linux_only
def test_nothing_of_the_system_is_installed_where_that_is_not_wanted(
    bootstrap, no_portaudio, monkeypatch, capsys
):
    _systems_programs(monkeypatch, bootstrap, "apt-get", user_id=0)
    bootstrap.prepare([], install_system=False)
    assert not any("apt-get" in command for command in no_portaudio)
    assert "libportaudio2" in capsys.readouterr().err
    monkeypatch.setattr(bootstrap, "PYTHON", bootstrap.VENV / "bin" / "python")
    monkeypatch.setattr(bootstrap.sys, "base_prefix", "/usr")
    monkeypatch.setattr(bootstrap, "FAIL", ("import ensurepip",))
    with pytest.raises(bootstrap.SetupError, match=r"apt install python3\.\d+-venv"):
        bootstrap.prepare([], install_system=False)
    assert not any("apt-get" in command for command in no_portaudio)


@linux_only
def test_portaudio_that_is_there_is_left_alone(bootstrap, commands, monkeypatch, capsys):
    _systems_programs(monkeypatch, bootstrap, "apt-get", user_id=0)
    bootstrap.prepare([])
    assert not any("apt-get" in command for command in commands)
    assert "PortAudio" not in capsys.readouterr().err


def test_a_checkout_that_cannot_be_written_is_said(bootstrap, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(bootstrap.INSIDE, raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys.modules["steps"], "LOG", tmp_path / "file" / "build" / "setup.log")
    with pytest.raises(SystemExit) as ended:
        bootstrap.start_in_environment("script.py")
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: cannot set up ") and "Not a directory" in line

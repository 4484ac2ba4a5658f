"""Packages of the system: what the package manager would do decides, and is said beforehand."""

import importlib
import shutil
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

# As apt-get of Debian 12 prints them, shortened.
ADDS = """\
Reading package lists...
The following NEW packages will be installed:
  libjack-jackd2-0 jackd2
Inst libjack-jackd2-0 (1.9.21~dfsg-3 Debian:12.2/stable [amd64])
Inst jackd2 (1.9.21~dfsg-3 Debian:12.2/stable [amd64])
Conf libjack-jackd2-0 (1.9.21~dfsg-3 Debian:12.2/stable [amd64])
"""
REMOVES = """\
The following packages will be REMOVED:
  pipewire-alsa pipewire-audio
Remv pipewire-audio [0.3.65-3+deb12u1]
Remv pipewire-alsa [0.3.65-3+deb12u1]
Inst pulseaudio (16.1+dfsg1-2+b1 Debian:12.0/stable [amd64])
"""


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """The module; it is root, and what it would run is noted. `answers`: of the simulation."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("system_packages", "steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("system_packages")
    module.commands, module.answers = [], {}

    def run(command, timeout_s=None):
        module.commands.append(list(command))
        return True

    def simulated(command, timeout_s=None):
        return module.answers.get(tuple(command[4:]))

    monkeypatch.setattr(sys.modules["steps"], "LOG", tmp_path / "setup.log")
    monkeypatch.setattr(module, "run_logged", run)
    monkeypatch.setattr(module, "output_of", simulated)
    monkeypatch.setattr(module.shutil, "which", lambda name: name if name == "apt-get" else None)
    monkeypatch.setattr(module.os, "geteuid", lambda: 0, raising=False)
    return module


def _installs(packages):
    return [command for command in packages.commands if "install" in command]


def test_what_will_be_installed_is_said_and_nothing_may_be_removed(packages, capsys):
    packages.answers = {("jackd2",): ADDS}
    assert packages.install_system_packages("tests", ["jackd2"]) is None
    (said,) = capsys.readouterr().err.splitlines()
    assert said == "set-up: installing system packages for tests: libjack-jackd2-0, jackd2"
    (command,) = _installs(packages)
    assert "--no-remove" in command and command[-1] == "jackd2"


def test_what_would_remove_others_is_not_installed(packages, capsys):
    packages.answers = {("pulseaudio",): REMOVES}
    reason = packages.install_system_packages("tests", ["pulseaudio"])
    assert reason == "installing pulseaudio would remove pipewire-audio, pipewire-alsa"
    assert _installs(packages) == [] and capsys.readouterr().err == ""


def test_one_alone_may_be_harmless_and_all_together_not(packages):
    packages.answers = {("a",): ADDS, ("b",): ADDS, ("a", "b"): REMOVES}
    assert "would remove" in packages.install_system_packages("tests", ["a", "b"])
    assert _installs(packages) == []


def test_a_package_that_a_system_does_not_have_holds_up_no_other(packages):
    packages.answers = {("jackd2",): ADDS}
    reason = packages.install_system_packages("tests", ["jackd2", "jack-example-tools"])
    assert reason == "apt-get does not know jack-example-tools"
    assert _installs(packages)[0][-1] == "jackd2"


def test_without_rights_nothing_is_tried(packages, monkeypatch):
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000, raising=False)
    reason = packages.install_system_packages("tests", ["ffmpeg"])
    assert reason == "not allowed without a password: apt install ffmpeg"
    assert packages.commands == []


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt-get")
def test_the_package_manager_itself_is_understood(monkeypatch, tmp_path):
    """A simulation changes nothing. dpkg is on every system that has apt-get."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("system_packages", "steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("system_packages")
    monkeypatch.setattr(sys.modules["steps"], "LOG", tmp_path / "setup.log")

    assert module.simulate(["no-such-package-of-rtsep"]) is None
    assert module.simulate(["dpkg"]).removed == []

"""The script that runs the tests: which tests, and whose exit status."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsep.environment import usable_cores
from tests import system_programs

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# The two steps that make up all tests, and the one that repeats what failed.
TOGETHER, ALONE = "pytest, side by side", "pytest, one after another"
AGAIN = "pytest, once more"


@pytest.fixture
def script(monkeypatch):
    """The module; its steps are noted in `script.steps` and end as `script.statuses` says."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in ("bootstrap", "system_packages", "steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("test_script", SCRIPTS / "test.py")
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for the module of a class.
    monkeypatch.setitem(sys.modules, "test_script", module)
    spec.loader.exec_module(module)
    module.steps, module.statuses, module.asked = {}, {}, []

    def step(name, command, kernel_set=None):
        module.steps[name] = command
        return module.Result(name, module.statuses.get(name, 0), 1.0)

    monkeypatch.setattr(module, "step", step)
    monkeypatch.setattr(module, "start_in_environment", lambda script, extras, system: None)
    monkeypatch.setattr(module, "package_index_problem", lambda: None)

    def install(what_for, packages):
        module.asked.append((what_for, packages))
        return "would remove pipewire-alsa"

    monkeypatch.setattr(module, "install_system_packages", install)
    monkeypatch.setattr(system_programs, "_is_there", lambda thing: True)
    return module


@pytest.fixture
def no_servers(monkeypatch):
    """A system with everything but jackd and ffmpeg."""
    hidden = ("jackd", "ffmpeg")
    monkeypatch.setattr(system_programs, "_is_there", lambda thing: thing not in hidden)


def _run(script, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["test.py", *arguments])
    return script.main()


def test_everything_is_run(script, monkeypatch, capsys):
    assert _run(script, monkeypatch) == 0
    assert list(script.steps)[:4] == [
        "ruff check",
        "ruff format",
        "mypy",
        "pytest, RTSEP_KERNELS=plain",
    ]
    assert list(script.steps)[-2:] == [TOGETHER, ALONE]
    workers = ["-n", str(usable_cores() + 1), "--dist", "worksteal"]
    assert script.steps["pytest, RTSEP_KERNELS=plain"] == [
        "pytest", "tests/kernels", "-m", "not any_kernel_set", *workers
    ]  # fmt: skip
    longest = ["--durations", "10", "--durations-min", "5"]
    together = ["-m", "not alone", "--cache-clear", *workers, *longest]
    assert script.steps[TOGETHER] == ["pytest", *together]
    assert script.steps[ALONE] == ["pytest", "-m", "alone", *longest]
    assert "left out" not in capsys.readouterr().out


def test_the_first_failure_decides_and_the_rest_is_still_run(script, monkeypatch, capsys):
    script.statuses = {"mypy": 3, TOGETHER: 1}
    assert _run(script, monkeypatch) == 3
    assert ALONE in script.steps
    assert "mypy: FAILED, exit status 3" in capsys.readouterr().out


# Two tests of a file of its own, of which `fails` says which fail, at which attempt.
TWO_TESTS = """
import json, pathlib, pytest
ATTEMPT = pathlib.Path(__file__).with_name("attempt")

def run(name):
    assert name not in json.loads(ATTEMPT.read_text())

@pytest.mark.alone
def test_server():
    run("server")

def test_other():
    run("other")

@pytest.mark.alone
@pytest.mark.parametrize("number", range(6))
def test_many(number):
    run("many")
"""


@pytest.mark.parametrize(
    "failing, again, status",
    [
        ([["server"], []], True, 0),
        ([["server"], ["server"]], True, 1),
        ([["other"], []], True, 1),
        ([["server", "other"], []], True, 1),
        ([["many"], []], False, 1),
        ([[], []], False, 0),
    ],
)
def test_only_what_failed_with_a_server_is_tried_again_and_that_is_told(
    script, monkeypatch, tmp_path, capsys, failing, again, status
):
    (tmp_path / "test_two.py").write_text(TWO_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\n unhurried\n slow\n")
    attempts = iter([failing[0], failing[0], failing[1]])

    def step(name, command, kernel_set=None):
        script.steps[name] = command
        if name not in (TOGETHER, ALONE, AGAIN):
            return script.Result(name, 0, 1.0)
        (tmp_path / "attempt").write_text(json.dumps(next(attempts)))
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path)
        return script.Result(name, done.returncode, 1.0)

    monkeypatch.setattr(script, "step", step)
    monkeypatch.setattr(script, "side_by_side", list)
    monkeypatch.setattr(script, "LAST_FAILED", tmp_path / ".pytest_cache/v/cache/lastfailed")
    assert _run(script, monkeypatch) == status
    assert (AGAIN in script.steps) == again
    output = capsys.readouterr().out
    told = "failed at first: test_two.py::test_server" in output
    assert told == ("server" in failing[0] and failing[1] == [])
    # A step that selected no test has not failed, and is not told.
    assert (f"{AGAIN}:" in output) == (again and failing[0] != ["other"])


def test_slow_tests_can_be_left_out(script, monkeypatch, capsys):
    _run(script, monkeypatch, "--fast")
    assert script.steps[TOGETHER][:3] == ["pytest", "-m", "not slow and not alone"]
    assert script.steps[ALONE][:3] == ["pytest", "-m", "not slow and alone"]
    assert "slow tests: left out" in capsys.readouterr().out


def test_without_a_network_its_tests_are_left_out_with_the_reason(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "package_index_problem", lambda: "nobody there")
    _run(script, monkeypatch, "--fast")
    assert script.steps[TOGETHER][:3] == ["pytest", "-m", "not slow and not network and not alone"]
    assert script.steps[ALONE][:3] == ["pytest", "-m", "not slow and not network and alone"]
    assert "nobody there" in capsys.readouterr().out


def test_arguments_go_to_pytest(script, monkeypatch):
    _run(script, monkeypatch, "tests/dsp", "-k", "window")
    assert script.steps["pytest"] == ["pytest", "tests/dsp", "-k", "window"]
    assert not any("RTSEP_KERNELS" in name for name in script.steps)


def test_what_the_selected_tests_use_is_installed_or_the_reason_given(
    script, monkeypatch, no_servers, capsys
):
    _run(script, monkeypatch, "tests/live/test_jack.py")
    assert script.asked == [("tests that need jack", ["jackd2"])]
    told = "tests that need jack: skipped: would remove pipewire-alsa"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    "selection",
    [["tests/dsp"], ["tests/live/test_jack.py", "--fast"], ["-k", "window", "tests/dsp"]],
)
def test_tests_that_use_nothing_install_nothing(script, monkeypatch, no_servers, capsys, selection):
    """The tests with JACK are all slow."""
    _run(script, monkeypatch, *selection)
    assert script.asked == []
    assert "tests that need" not in capsys.readouterr().out


def test_nothing_is_installed_where_that_is_not_wanted(script, monkeypatch, no_servers, capsys):
    _run(script, monkeypatch, "--no-install", "tests/live/test_jack.py")
    assert script.asked == []
    assert script.steps["pytest"] == ["pytest", "tests/live/test_jack.py"]
    told = "tests that need jack: skipped: --no-install; it takes jackd2"
    assert told in capsys.readouterr().out


def test_where_nothing_is_missing_nothing_is_collected(script, monkeypatch):
    monkeypatch.setattr(script, "needs_of", lambda selection: pytest.fail("collected"))
    assert _run(script, monkeypatch) == 0
    assert script.asked == []


def test_what_is_missing_is_the_reason_of_the_skipped_test():
    nothing = os.environ | {"PATH": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "tests/live/test_jack.py"]
    done = subprocess.run(command, cwd=SCRIPTS.parent, env=nothing, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "passed" not in done.stdout
    assert "jack: missing: jackd, jack_lsp, jack_connect;" in done.stdout

"""The script that runs the tests: which tests, and whose exit status."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch):
    """The module; its steps are noted in `script.steps` and end as `script.statuses` says."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.delitem(sys.modules, "bootstrap", raising=False)
    spec = importlib.util.spec_from_file_location("test_script", SCRIPTS / "test.py")
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look for the module of a class.
    monkeypatch.setitem(sys.modules, "test_script", module)
    spec.loader.exec_module(module)
    module.steps, module.statuses = {}, {}

    def step(name, command, kernel_set=None):
        module.steps[name] = command
        return module.Result(name, module.statuses.get(name, 0), 1.0)

    monkeypatch.setattr(module, "step", step)
    monkeypatch.setattr(module, "start_in_environment", lambda script, extras: None)
    monkeypatch.setattr(module, "package_index_problem", lambda: None)
    return module


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
    assert list(script.steps)[-1] == "pytest"
    assert script.steps["pytest"] == ["pytest"]
    assert "left out" not in capsys.readouterr().out


def test_the_first_failure_decides_and_the_rest_is_still_run(script, monkeypatch, capsys):
    script.statuses = {"mypy": 3, "pytest": 1}
    assert _run(script, monkeypatch) == 3
    assert "pytest" in script.steps
    assert "mypy: FAILED, exit status 3" in capsys.readouterr().out


def test_slow_tests_can_be_left_out(script, monkeypatch, capsys):
    _run(script, monkeypatch, "--fast")
    assert script.steps["pytest"] == ["pytest", "-m", "not slow"]
    assert "slow tests: left out" in capsys.readouterr().out


def test_without_a_network_its_tests_are_left_out_with_the_reason(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "package_index_problem", lambda: "nobody there")
    _run(script, monkeypatch, "--fast")
    assert script.steps["pytest"] == ["pytest", "-m", "not slow and not network"]
    assert "nobody there" in capsys.readouterr().out


def test_arguments_go_to_pytest(script, monkeypatch):
    _run(script, monkeypatch, "tests/dsp", "-k", "window")
    assert script.steps["pytest"] == ["pytest", "tests/dsp", "-k", "window"]
    assert not any("RTSEP_KERNELS" in name for name in script.steps)

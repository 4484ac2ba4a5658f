"""What tests of several folders share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsep.cli.config_file import FILE_VARIABLE
from tests.system_programs import NEEDS, NEEDS_LINE, SOUND_SERVERS, why_missing

pytest_plugins = ["tests.fuzz.summary"]


def pytest_configure(config: pytest.Config) -> None:
    """Let signals end what the tests start, even where they were begun to ignore them; no settings.

    A job in the background ignores interrupts, one under `nohup` hang-ups, and so would its children.
    SIGTERM ends the tests as Ctrl-C does: else the servers and players that they started would play on,
    some with real-time priority.
    """
    os.environ[FILE_VARIABLE] = ""  # no settings of whoever runs the tests
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which scripts/test.py asks what to install."""
    parser.addoption(
        "--show-needs", action="store_true",
        help="with --collect-only: say what programs of the system the selected tests use",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a program of the system which is not there; mark those to run alone.

    First of all, so that -m can choose by the marks.
    """
    reasons = {need: why_missing(need) for need in NEEDS}
    for item in items:
        for need in _needs(item):
            if need not in NEEDS:
                raise pytest.UsageError(f"{item.nodeid}: needs {need!r}: not in system_programs.py")
            if need in SOUND_SERVERS and not item.get_closest_marker("unhurried"):
                item.add_marker(pytest.mark.alone)
            if reasons[need] is not None:
                item.add_marker(pytest.mark.skip(reason=f"{need}: {reasons[need]}"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Answer --show-needs, after -m and -k have chosen."""
    if session.config.getoption("--show-needs"):
        used = sorted({need for item in session.items for need in _needs(item)})
        print(f"\n{NEEDS_LINE}{' '.join(used)}")


def _needs(item: pytest.Item) -> list[str]:
    return [need for mark in item.iter_markers("needs") for need in mark.args]


@pytest.fixture(autouse=True)
def _server_messages(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print what sound servers have said, which pytest shows if the test has failed."""
    yield
    arguments = request.node.funcargs or {}  # none any more where the tests are interrupted
    if request.node.get_closest_marker("needs") and "tmp_path" in arguments:
        for log in sorted(arguments["tmp_path"].glob("*.log")):
            print(f"--- {log.stem}\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def _made_up_weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with made-up 2 and 4 stems, under the genuine names."""
    from rtsep.nets.registry import MODELS
    from rtsep.weights.library import weights_path
    from rtsep.weights.store import Provenance, write_weights
    from tests.weights.made_up_weights import made_up_arrays

    folder = tmp_path_factory.mktemp("made_up_weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEP_WEIGHTS", str(folder))
        for model in ("spleeter:2stems", "spleeter:4stems"):
            stems = MODELS[model].stems
            arrays = {stem: made_up_arrays(seed) for seed, stem in enumerate(stems)}
            provenance = Provenance(model, ",".join(stems), "made up", "0" * 64, "none", "nobody")
            write_weights(weights_path(model), arrays, provenance)
    return folder


@pytest.fixture
def made_up_weights(_made_up_weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up weights of 2 and 4 stems in place of this machine's, also for child processes."""
    monkeypatch.setenv("RTSEP_WEIGHTS", str(_made_up_weights_folder))
    return _made_up_weights_folder

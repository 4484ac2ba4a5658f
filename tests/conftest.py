"""What tests of several folders share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let signals end what the tests start, even where they were begun to ignore them.

    A job in the background ignores interrupts, one under `nohup` hang-ups, and so would its children.
    """
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


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

"""A model of one's own is measured like those that rtsep knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtsep.cli import bench
from rtsep.weights import library as weights
from tests.weights.test_own_models import DRUMS, write_run


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A net for drums, installed as `mine`."""
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "weights"))
    weights.import_path(write_run(tmp_path / "run", DRUMS), "mine")
    return "mine"


def test_live_figures(own_model: str, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    words = ["--stem", "drums", "--plans", "balanced", "--seconds", "1", "--json", str(path)]
    assert bench.main(["latency", "-m", own_model, *words]) == 0
    report = json.loads(path.read_text())
    assert report["settings"]["model"] == own_model
    assert "Weights of mine: your own." in report["notes"]


def test_what_does_not_fit_is_named(own_model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["latency", "-m", own_model]) == 2
    assert "--stem needed: name the stems that are to be heard, of drums, rest, not all" in (
        capsys.readouterr().err
    )
    words = ["--stem", "drums", "--weights", "genuine"]
    assert bench.main(["latency", "-m", own_model, *words]) == 1
    assert (
        "mine is your own, without an official checkpoint: leave --weights out"
        in capsys.readouterr().err
    )
    with pytest.raises(SystemExit, match="2"):
        bench.main(["slide", "-m", "d3net"])
    assert "d3net is not measured here: choose from spleeter:2stems" in capsys.readouterr().err

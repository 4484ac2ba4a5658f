"""What the tests of training share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.songs import write_songs


@pytest.fixture(scope="session")
def songs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short songs of two stems, chords and bursts."""
    return write_songs(tmp_path_factory.mktemp("songs"), 6)


@pytest.fixture
def own_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder of the test's own."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("RTSEP_WEIGHTS", str(folder))
    return folder

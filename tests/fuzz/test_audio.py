"""Damaged sound files: what is read in silence is what FFmpeg plays, and all else is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.children import run_child
from tests.fuzz.mutations import share
from tests.fuzz.small_sounds import SOUNDS


@pytest.mark.parametrize("kind", SOUNDS)
def test_no_sound_is_lost_or_changed_in_silence(kind: str, tmp_path: Path) -> None:
    count = share(len(SOUNDS))
    tried = run_child("tests.fuzz.audio_child", kind, str(count), str(tmp_path))
    assert tried.total() == count + 1
    assert tried["intact: read in silence, equal"] == 1

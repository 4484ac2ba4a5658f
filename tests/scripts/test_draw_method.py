"""The pictures of docs/how-it-works.md can be drawn again, and show the plans of today."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.constants import SAMPLE_RATE
from rtsep.live.plans.plan import PLANS
from rtsep_bench.sound import music

pytest.importorskip("matplotlib")

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
# A page should load quickly, and the sdist carries the pictures.
LARGEST_BYTES = 150_000


def draw(*arguments: object) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "draw_method.py"), *map(str, arguments)]
    subprocess.run(command, check=True)


def check_timeline(picture: Path) -> None:
    """The plans' latency stands in the picture: matplotlib keeps each text in a comment."""
    svg = picture.read_text(encoding="utf-8")
    low, classic = PLANS["low"], PLANS["classic"]
    for text in (
        f"low: {low.latency_ms:.3g} ms",
        f"classic: {classic.latency_ms / 1000:.3g} s",
        f"overlap-add {low.windows.overlap_hops}",
        f"look-ahead {low.look_ahead}",
        f"compute delay {classic.compute_delay}",
    ):
        assert f"<!-- {text} -->" in svg


def test_all_pictures_are_drawn(tmp_path):
    from matplotlib.image import imread

    soundfile.write(tmp_path / "song.wav", music(8.0), SAMPLE_RATE)
    draw(tmp_path / "song.wav", "--start", 1, "--weights", "made-up", "--folder", tmp_path)
    check_timeline(tmp_path / "timeline.svg")
    for name in ("mask.png", "overlap-add.svg", "timeline.svg"):
        assert (tmp_path / name).stat().st_size <= LARGEST_BYTES
    # Three panels that show something: many colours in each third of the picture.
    picture = imread(tmp_path / "mask.png")[:, :, :3]
    for third in np.array_split(picture, 3, axis=1):
        assert len(np.unique(third.reshape(-1, 3), axis=0)) > 20


def test_the_timeline_in_docs_shows_the_plans():
    check_timeline(PICTURES / "timeline.svg")


@pytest.mark.parametrize("picture", sorted(PICTURES.iterdir()), ids=lambda path: path.name)
def test_pictures_are_small(picture):
    assert picture.stat().st_size <= LARGEST_BYTES

"""`rtsep-bench control`: what it concludes from what it hears, and a run on a real JACK server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtsep.cli import bench
from rtsep_bench.control_run import MIDDLE_RMS, heard_after_ms
from rtsep_bench.heard import Level


def test_a_switch_is_heard_with_the_first_block_at_the_other_level() -> None:
    levels = [
        Level(0.01 * at, 0.01, MIDDLE_RMS * (1.5 if 53 <= at < 107 else 0.5)) for at in range(300)
    ]
    took_ms, lost = heard_after_ms([(0.5, True), (1.0, False), (2.0, True)], levels)
    assert took_ms == pytest.approx([30, 70])
    assert lost == 1


@pytest.mark.needs("jack")
@pytest.mark.slow
def test_changes_are_answered_and_heard(made_up_weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "control.json"
    words = "control --weights made-up --plan low --clients 2 --changes 20 --duration 2 --json"
    assert bench.main([*words.split(), str(file)]) == 0
    alone, many = json.loads(file.read_text())["rows"]
    assert (alone["clients"], many["clients"]) == (1, 2)
    assert alone["changes"] == 0 and many["changes"] > 10
    for row in (alone, many):
        assert row["unanswered"] == row["unheard"] == 0
        assert row["heard_ms"] and row["states_per_s"] > 0

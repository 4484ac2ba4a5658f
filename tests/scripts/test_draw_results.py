"""The pictures of the recorded results are drawn from the results, not measured again."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtsep_bench.measurements import RECORDED
from rtsep_bench.report import Report

ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted(RECORDED.glob("*.json"))


@pytest.mark.parametrize("result", RESULTS, ids=lambda path: path.stem)
def test_a_recorded_report_is_read_as_it_was_written(result):
    values = json.loads(result.read_text(encoding="utf-8"))
    again = Report.from_json(values).as_json()
    for name in ("command", "settings", "rows", "notes", "machine"):
        assert again[name] == values[name]


def test_a_picture_is_drawn_from_the_result_beside_it(tmp_path):
    pytest.importorskip("matplotlib")
    shutil.copy(RECORDED / "slide.json", tmp_path)
    (tmp_path / "slide.png").touch()
    script = ROOT / "scripts" / "draw_results.py"
    subprocess.run([sys.executable, str(script), "--folder", str(tmp_path)], check=True)
    assert (tmp_path / "slide.png").read_bytes().startswith(b"\x89PNG")

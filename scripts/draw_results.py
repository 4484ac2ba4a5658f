"""Draws the pictures beside the recorded results again, without measuring anything.

    python scripts/draw_results.py [--folder DIR]

For each NAME.png in benchmarks/rtsep_bench/results it draws NAME.json as `rtsep-bench --plot` would
have. To add a picture, let `rtsep-bench ... --json NAME.json --plot NAME.png` write both.
Needs the environment that scripts/test.py sets up.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from rtsep.cli.common import run
from rtsep_bench.measurements import RECORDED
from rtsep_bench.report import Report, write_plot


def main() -> int:
    """Draw the pictures; returns the exit status."""
    parser = argparse.ArgumentParser(description="Draw the recorded results again.")
    parser.add_argument("--folder", type=Path, default=RECORDED, help="default: %(default)s")
    arguments = parser.parse_args()
    return run("draw_results", lambda: draw(arguments.folder))


def draw(folder: Path) -> int:
    """Draw every picture in `folder` from the result beside it."""
    for picture in sorted(folder.glob("*.png")):
        result = picture.with_suffix(".json").read_text(encoding="utf-8")
        report = Report.from_json(json.loads(result))
        write_plot(report, import_module(f"rtsep_bench.{report.command}").plot, picture)
        print(picture.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

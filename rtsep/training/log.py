"""What a training leaves to look at: log.csv, a line per evaluation, and curves.png."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtsep.training.disk import write_file

LOG_FILE, CURVES_FILE = "log.csv", "curves.png"
STEP, SECONDS, LOSS, SDR = "step", "seconds", "loss", "sdr_db "


class Log:
    """The log of the training in the folder `run`; rows after `step` are of a future that was lost."""

    def __init__(self, run: Path, stems: Sequence[str], step: int):
        self._path, self._stems = run / LOG_FILE, tuple(stems)
        self._columns = [STEP, SECONDS, LOSS, *(SDR + stem for stem in stems)]
        self._rows = [row for row in self._read() if int(row[STEP]) <= step]

    @property
    def seconds(self) -> float:
        """What the training has taken so far."""
        return float(self._rows[-1][SECONDS]) if self._rows else 0.0

    def add(self, step: int, seconds: float, loss: float, sdr_db: Mapping[str, float]) -> None:
        """Write one line; raises TrainingError where that cannot be."""
        row = {STEP: str(step), SECONDS: f"{seconds:.1f}", LOSS: f"{loss:.6g}"}
        row |= {SDR + stem: f"{value:.3f}" for stem, value in sdr_db.items()}
        self._rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_file(self._path, text.getvalue().encode())

    def draw(self, title: str) -> bool:
        """Draw the curves beside the log; False without matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return False
        figure = Figure(figsize=(8, 6), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(self._column(STEP), self._column(LOSS))
        upper.set_ylabel("loss, mean since the last one")
        upper.set_title(title)
        for stem in self._stems:
            points = [
                (float(row[STEP]), float(row[SDR + stem]))
                for row in self._rows
                if row.get(SDR + stem)
            ]
            if points:
                lower.plot(*zip(*points), label=stem)
        lower.set_xlabel("step")
        lower.set_ylabel("SDR of songs held out, dB")
        if lower.lines:
            lower.legend()
        for axes in (upper, lower):
            axes.grid(alpha=0.3)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        write_file(self._path.with_name(CURVES_FILE), picture.getbuffer())
        return True

    def _column(self, name: str) -> list[float]:
        return [float(row[name]) for row in self._rows]

    def _read(self) -> list[dict[str, str]]:
        try:
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
            return [row for row in rows if row.get(STEP, "").isdecimal()]
        except (OSError, UnicodeDecodeError):
            return []

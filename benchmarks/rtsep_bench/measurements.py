"""The measurements behind the figures of the documentation, and the files that keep their results.

`results/NAME.json` is what `rtsep-bench WORDS --json results/NAME.json` wrote, WORDS as below.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "results"

# A few minutes each at most.
SHORT = {
    "peers": "peers",
    "slide": "slide",
    "offline": "offline",
    "quality-demo": "quality demo",
    "latency-vocals": "latency --stem vocals --nets needed --display --priority real-time",
    "latency-2stems": "latency --display --priority real-time",
    "latency-4stems": "latency -m spleeter:4stems --display --priority real-time",
    "latency-4stems-classic": "latency -m spleeter:4stems --plans classic --display"
    " --priority real-time",
    "latency-4stems-ordinary": "latency -m spleeter:4stems --plans low --display --busy 4 --seconds 60"
    " --watch",
}
# Ten minutes each.
LONG = {
    "latency-2stems-low-10min": "latency --plans low --display --seconds 600 --watch"
    " --priority real-time",
    "latency-4stems-low-10min": "latency -m spleeter:4stems --plans low --display --busy 4"
    " --seconds 600 --watch --priority real-time",
    "latency-4stems-busy": "latency -m spleeter:4stems --plans 64/2/1/2/asymmetric/4 --display"
    " --busy 1 --seconds 600 --watch --priority real-time",
}


class NotMeasured(LookupError):
    """The measurement, or the row of it, is not among the results."""


class Results:
    """Results of measurements.

    reports: by the measurement's name, the JSON object that `rtsep-bench --json` wrote.
    """

    def __init__(self, reports: Mapping[str, Mapping[str, Any]]):
        self._reports = reports

    def report(self, name: str) -> Mapping[str, Any]:
        """The JSON object of a measurement; raises NotMeasured."""
        if name not in self._reports:
            raise NotMeasured(name)
        return self._reports[name]

    def rows(self, name: str, **wanted: Any) -> list[dict[str, Any]]:
        """The rows of a measurement whose fields are as `wanted`; raises NotMeasured if none are."""
        rows = [
            row
            for row in self.report(name)["rows"]
            if all(row.get(field) == value for field, value in wanted.items())
        ]
        if not rows:
            raise NotMeasured(name)
        return rows

    def row(self, name: str, **wanted: Any) -> dict[str, Any]:
        """The first of `rows`."""
        return self.rows(name, **wanted)[0]


def read_results(folder: Path, names: Iterable[str]) -> Results:
    """The results of the measurements called `names` that are kept in `folder`."""
    files = {name: folder / f"{name}.json" for name in names}
    return Results(
        {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}
    )

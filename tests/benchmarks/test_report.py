"""What a report holds for programs, and outputs that cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsep.environment import installed_version
from rtsep.errors import MissingLibraryError, RtsepError, UsageError
from rtsep_bench.report import Report, Row, check_outputs, write_json, write_plot
from rtsep_bench.rounds import Timing

ROW_FIELDS = [
    "contender", "case", "threads", "min_ms", "median_ms", "max_abs_difference", "peak_rss_mb",
]  # fmt: skip
TIMING = Timing(((1.0, 2.0, 4.0),))


@pytest.fixture
def report() -> Report:
    rows = [
        Row.timed("rtsep", "unet-T128", 1, TIMING, max_abs_difference=1e-6, gflops=80.0),
        Row("rtsep", "agreement", 2, more={"snr_db": 121.0}),
    ]
    return Report("peers", {"rounds": 1}, rows, ["a note"])


def test_the_json_has_what_programs_rely_on(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    write_json(report, file)
    found = json.loads(file.read_text())
    first, second = found["rows"]
    assert list(first) == [*ROW_FIELDS, "gflops"]
    assert list(second) == [*ROW_FIELDS, "snr_db"]
    assert first == {
        "contender": "rtsep", "case": "unet-T128", "threads": 1, "min_ms": 1.0, "median_ms": 2.0,
        "max_abs_difference": 1e-6, "peak_rss_mb": None, "gflops": 80.0,
    }  # fmt: skip
    assert found["machine"]["cpu"] and found["machine"]["cores"] >= 1 and found["machine"]["os"]
    assert isinstance(found["machine"]["features"], list)
    assert found["versions"]["numpy"] and found["versions"]["numba"]
    assert {"commit", "date", "settings", "notes"} <= set(found)


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert installed_version("numpy")
    assert installed_version("no-such-package-of-rtsep") is None


PEAKS = """
import numpy as np
from rtsep_bench.memory import peak_rss_mb
before = peak_rss_mb()
np.ones(100_000_000, np.uint8)
print(before, peak_rss_mb())
"""


def test_the_peak_memory_is_that_of_the_process_alone() -> None:
    """A child sees what it used and gave back, and nothing of what its parent holds."""
    ballast = np.ones(500_000_000, np.uint8)
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    del ballast
    if "None" in done.stdout:
        pytest.skip("this system does not tell")
    before_mb, after_mb = map(float, done.stdout.split())
    assert 5 < before_mb < 400
    assert after_mb == pytest.approx(before_mb + 100, abs=20)


@pytest.mark.parametrize(
    ("json_file", "plot_file", "complaint"),
    [
        ("none/x.json", None, "--json .*x.json: name a file in a folder that exists"),
        (".", None, "--json .*: name a file in a folder that exists"),
        (None, "none/x.png", "--plot .*x.png: name a file in a folder that exists"),
        (None, "x.gif", r"--plot .*x.gif: the name must end in \.png, \.pdf, \.svg"),
    ],
)
def test_impossible_outputs_are_refused(
    json_file: str | None, plot_file: str | None, complaint: str, tmp_path: Path
) -> None:
    paths = [None if name is None else tmp_path / name for name in (json_file, plot_file)]
    with pytest.raises(UsageError, match=complaint) as caught:
        check_outputs(*paths)
    assert "\n" not in str(caught.value)


def test_a_missing_matplotlib_is_named_with_its_extra(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for attempt in (
        lambda: check_outputs(None, tmp_path / "x.png"),
        lambda: write_plot(report, lambda report, figure: None, tmp_path / "x.png"),
    ):
        with pytest.raises(MissingLibraryError, match=r"matplotlib.*rtsep\[plot\]") as caught:
            attempt()
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line(report: Report) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(RtsepError, match="cannot write /dev/full: No space left on device"):
        write_json(report, full)

"""What a report holds for programs, and outputs that cannot be written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rtsep.benchmarks import machine
from rtsep.benchmarks.memory import peak_rss_mb
from rtsep.benchmarks.report import Report, Row, check_outputs, write_json, write_plot
from rtsep.benchmarks.rounds import Timing
from rtsep.errors import MissingLibraryError, RtsepError, UsageError

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
    assert machine.installed_version("numpy")
    assert machine.installed_version("no-such-package-of-rtsep") is None


def test_the_peak_memory_grows_with_what_is_used() -> None:
    before = peak_rss_mb()
    if before is None:
        pytest.skip("this system does not tell")
    used = bytearray(int((before + 100) * 1e6))
    used[::1024] = b"\1" * len(used[::1024])
    after = peak_rss_mb()
    assert after is not None and after >= before + 50


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

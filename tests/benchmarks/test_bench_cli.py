"""`rtsep-bench`: every subcommand end to end on small nets, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rtsep.cli import bench
from rtsep.nets.unet import LAYERS
from tests.files.sounds import music, write_file

pytestmark = pytest.mark.usefixtures("made_up_weights")

PNG = b"\x89PNG"


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    try:
        status = bench.main([str(word) for word in words])
    except SystemExit as error:
        assert isinstance(error.code, int)
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def rows_by_contender(file: Path) -> dict[tuple[str, str], dict]:
    """The rows of a JSON file by contender and case; none comes twice."""
    rows = json.loads(file.read_text())["rows"]
    found = {(row["contender"], row["case"]): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_kernels(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    json_file, plot_file = tmp_path / "k.json", tmp_path / "k.png"
    status, out, err = run(
        capsys, "kernels", "--frames", 64, "--bins", 64, "--rounds", 1, "--threads", 2,
        "--json", json_file, "--plot", plot_file,
    )  # fmt: skip
    assert status == 0, err
    rows = rows_by_contender(json_file)
    for name in LAYERS:
        assert name in out
        fast, general = rows["rtsep-fast", f"{name}-T64"], rows["rtsep-general", f"{name}-T64"]
        assert fast["gflops"] == pytest.approx(fast["mflop"] / fast["min_ms"])
        assert fast["percent_of_peak"] > 0
        assert general["max_abs_difference"] <= 2e-5 * general["max_abs_output"]
        ours, blas = (rows[who, f"gemm-{name}-T64"] for who in ("rtsep-gemm", "numpy-blas"))
        assert ours["mflop"] == blas["mflop"]
        assert ours["max_abs_difference"] <= 1e-4
    assert rows["fma-peak", "fma-peak"]["percent_of_peak"] == pytest.approx(100)
    assert rows["rtsep-fast", "2-unets-T64"]["threads"] == 2
    assert rows["rtsep-fast", "unet-T64"]["mflop"] < rows["rtsep-general", "unet-T64"]["mflop"]
    assert "FMA peak of 2 threads" in out and "made up" in out
    assert plot_file.read_bytes().startswith(PNG)


def test_slide(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    json_file, plot_file = tmp_path / "s.json", tmp_path / "s.png"
    status, out, err = run(
        capsys, "slide", "--plans", "64/1/1/1/hann/4,128/4/2/4/hann", "--bins", 64, "--rounds", 1,
        "--json", json_file, "--plot", plot_file,
    )  # fmt: skip
    assert status == 0, err
    rows = rows_by_contender(json_file)
    for case in ("64/1/1/1/hann/4", "128/4/2/4/hann"):
        assert case in out
        whole, heard, kept = (
            rows[way, case]["mflop"] for way in ("whole net", "rows heard", "rows heard and new")
        )
        assert kept < heard < whole
        assert rows["rows heard and new", case]["ratio_to_whole"] > 0
    assert plot_file.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    "plan",
    [
        "64/1",
        "60/1/1/1/hann",
        "64/40/30/40/hann",
        "64/0/1/1/hann",
        "64/1/1/1/hann/33",
        "64/1/1/1/hann/4/2",
    ],
)
def test_slide_refuses_impossible_windows(capsys: pytest.CaptureFixture[str], plan: str) -> None:
    status, _, err = run(capsys, "slide", "--plans", plan)
    assert status == 2 and plan in err


@pytest.mark.slow
def test_peers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    json_file, plot_file = tmp_path / "p.json", tmp_path / "p.png"
    status, out, err = run(
        capsys, "peers", "--bins", 64, "--rounds", 2, "--no-rss",
        "--cases", "unet-T64,four-unets-T128", "--json", json_file, "--plot", plot_file,
    )  # fmt: skip
    assert status == 0, err
    rows = rows_by_contender(json_file)
    assert rows["rtsep", "unet-T64"]["threads"] == 1
    assert rows["rtsep", "four-unets-T128"]["threads"] == 2
    for (contender, _), row in rows.items():
        half = contender in ("rtsep-auto", "openvino-default")
        assert row["max_abs_difference"] <= (0.25 if half else 1e-4)
        assert 0 < row["min_ms"] <= row["median_ms"]
        assert row["peak_rss_mb"] is None
        assert (row["ratio_to_rtsep"] == 1) or contender != "rtsep"
        assert (row["ratio_to_rtsep_auto"] == 1) or contender != "rtsep-auto"
    for contender in ("onnxruntime", "openvino", "torch"):
        # A row, or a word on why there is none.
        assert (contender, "unet-T64") in rows or f"{contender} (needs " in out
    assert "unet-T64" in out and "made up" in out
    assert plot_file.read_bytes().startswith(PNG)


@pytest.mark.slow
def test_offline(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    song = write_file(tmp_path / "song.flac", music(3.0, rate=48_000), 48_000)
    json_file, plot_file = tmp_path / "o.json", tmp_path / "o.png"
    status, out, err = run(
        capsys, "offline", "--input", song, "--seconds", 2, "--models", "spleeter:2stems",
        "--rounds", 1, "--threads", 2, "--json", json_file, "--plot", plot_file,
    )  # fmt: skip
    assert status == 0, err
    rows = rows_by_contender(json_file)
    speed = rows["rtsep", "offline-2stems"]
    assert speed["audio_s"] == pytest.approx(2)
    assert speed["times_real_time"] == pytest.approx(2000 / speed["min_ms"])
    assert 0 < speed["first_output_s"] < 60
    for extension in ("zeros", "average"):
        for stem in ("vocals", "accompaniment"):
            row = rows["rtsep", f"agreement-2stems-{extension}-{stem}"]
            assert row["snr_db"] > 70 and row["min_ms"] is None
    assert "song.flac" in out and "made up" in out
    assert str(tmp_path) not in json_file.read_text()
    assert plot_file.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "arguments are required: COMMAND"),
        (["speed"], "invalid choice: 'speed'"),
        (["kernels", "--rounds", 0], "--rounds: must be a whole number of at least 1: got '0'"),
        (["kernels", "--frames", 100], "--frames: must be a positive multiple of 64: got '100'"),
        (["peers", "--cases", "unet-T1"], "--cases: there is no case 'unet-T1': choose from unet"),
        (
            ["peers", "--model", "spleeter:5stems"],
            "--model: spleeter:5stems is not measured here: choose from spleeter:2stems,",
        ),
        (["peers", "--weights", "best"], "--weights: invalid choice: 'best'"),
        (["offline", "--seconds", "nan"], "--seconds: must be a number of seconds, 1 or more"),
        (["offline", "--models", "spleeter:3stems"], "unknown model 'spleeter:3stems'"),
        (["kernels", "--json", "no/such/folder.json"], "name a file in a folder that exists"),
    ],
)
def test_impossible_options_are_one_line(
    words: list[object], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, *words)
    assert status == 2 and out == ""
    assert complaint in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["kernels"], "threadpoolctl", "bench"),
        (["kernels", "--plot", "x.png"], "matplotlib.figure", "plot"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    words: list[str], package: str, extra: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, package, None)
    status, out, err = run(capsys, *words)
    assert status == 1 and out == "" and err.count("\n") == 1
    assert f"needs {package.split('.')[0]}" in err and f"pip install 'rtsep[{extra}]'" in err


def test_a_song_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "offline", "--input", "nowhere.wav")
    assert status == 1 and err == "rtsep-bench: error: no such file: nowhere.wav\n"


def test_made_up_weights_do_not_pass_for_genuine(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "kernels", "--weights", "genuine")
    assert status == 1 and "not the official checkpoint" in err and err.count("\n") == 1


def test_results_replace_no_input_and_not_each_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    song = write_file(tmp_path / "song.wav", music(0.5))
    before = song.read_bytes()
    for words, told in (
        (("--input", song, "--json", song), f"--json would replace the input {song}"),
        (("--json", tmp_path / "x.png", "--plot", tmp_path / "x.png"), "would both be written to"),
    ):
        status, _out, err = run(capsys, "offline", *words)
        assert status == 2
        assert told in err
    assert song.read_bytes() == before
    assert list(tmp_path.iterdir()) == [song]

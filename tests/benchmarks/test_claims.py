"""The documentation's tables hold the recorded figures, and `rtsep-bench claims` measures them again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtsep.cli import bench
from rtsep.live.priority import ORDINARY, REAL_TIME
from rtsep_bench import claims as command
from rtsep_bench import documented
from rtsep_bench.documented import BLOCK, ROOT, pages, recorded, update
from rtsep_bench.documented_tables import TABLES
from rtsep_bench.measurements import LONG, RECORDED, SHORT

SMALL_SLIDE = "slide --weights made-up --bins 64 --rounds 1 --plans 64/1/1/1/hann,64/1/1/1/hann/4"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_tables_hold_the_recorded_figures(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert update(text, TABLES, recorded()) == text, "run python -m rtsep_bench.documented --write"


def test_every_table_is_on_a_page_and_every_page_is_closed() -> None:
    texts = [page.read_text(encoding="utf-8") for page in pages()]
    assert {name for text in texts for name in BLOCK.findall(text)} == set(TABLES)
    for text in texts:
        assert text.count("<!-- figures: ") == len(BLOCK.findall(text))


def test_a_wrong_figure_is_found_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("no figures\n", encoding="utf-8")
    page = tmp_path / "docs" / "performance.md"
    page.write_text(
        right.replace("| OpenVINO, float32 | ", "| OpenVINO, float32 | 1", 1), encoding="utf-8"
    )
    monkeypatch.setattr(documented, "ROOT", tmp_path)
    assert documented.main([]) == 1
    assert "performance.md: out of date" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8") != right
    assert documented.main(["--write"]) == 0
    assert page.read_text(encoding="utf-8") == right
    assert documented.main([]) == 0


@pytest.mark.parametrize("name", [*SHORT, *LONG])
def test_results_are_those_of_the_measurement(name: str) -> None:
    words = {**SHORT, **LONG}[name].split()
    result = json.loads((RECORDED / f"{name}.json").read_text())
    assert result["command"] == words[0]
    for option in ("display", "busy", "seconds"):
        if f"--{option}" in words:
            given = words[words.index(f"--{option}") + 1 :][:1]
            assert result["settings"][option] == (True if option == "display" else float(*given))
    if words[0] == "latency":
        wanted = REAL_TIME if REAL_TIME in words else ORDINARY
        assert {row["priority"] for row in result["rows"]} == {wanted}


def test_claims_are_measured_again(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(command, "SHORT", {"slide": SMALL_SLIDE, "offline": "offline --rounds 0"})
    json_file, plot_file = tmp_path / "claims.json", tmp_path / "claims.png"
    status = bench.main(
        ["claims", "--into", str(tmp_path / "kept"), "--json", str(json_file)]
        + ["--plot", str(plot_file)]
    )
    out, err = capfd.readouterr()
    # The measurement that fails is named, and the results of the other are printed nevertheless.
    assert status == 1
    assert "rtsep-bench offline --rounds 0: failed" in err
    measured = json.loads((tmp_path / "kept" / "slide.json").read_text())["rows"]
    new = [row for row in measured if row["contender"] == "rows heard and new"]
    rows = json.loads(json_file.read_text())["rows"]
    assert [row["here_figures"] for row in rows] == [
        pytest.approx([100 * row["ratio_to_whole"], 100 * row["flop_ratio"]]) for row in new
    ]
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    for row in rows:
        assert row["documented"] in page
        for cells in (row["documented"], row["here"]):
            assert cells.replace(" | ", " \u00b7 ") in out
    assert plot_file.stat().st_size > 0


def test_unknown_measurements_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["claims", "--only", "slide,nonsense"]) == 2
    err = capsys.readouterr().err
    assert "'nonsense'" in err and "slide" in err and err.count("\n") == 1

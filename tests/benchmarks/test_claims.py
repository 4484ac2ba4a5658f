"""What the pages say in figures is what was recorded, and `rtsep-bench claims` measures it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rtsep.cli import bench
from rtsep.live.priority import ORDINARY, REAL_TIME
from rtsep_bench import claims as command
from rtsep_bench.documented import Claim, claims
from rtsep_bench.measurements import LONG, RECORDED, SHORT, read_results

ROOT = Path(__file__).parent.parent.parent
SMALL_SLIDE = "slide --weights made-up --bins 64 --rounds 1 --plans 64/1/1/1/hann,64/1/1/1/hann/4"


@pytest.mark.parametrize("claim", list(claims()), ids=lambda claim: claim.about)
def test_the_pages_say_what_was_recorded(claim: Claim) -> None:
    figures = claim.figures_in(read_results(RECORDED, {**SHORT, **LONG}))
    assert figures is not None
    page = " ".join((ROOT / claim.page).read_text().split())
    assert claim.text.format(*figures) in page


@pytest.mark.parametrize("name", [*SHORT, *LONG])
def test_results_are_those_of_the_measurement(name: str) -> None:
    words = {**SHORT, **LONG}[name].split()
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    assert recorded["command"] == words[0]
    for option in ("display", "busy", "seconds"):
        if f"--{option}" in words:
            given = words[words.index(f"--{option}") + 1 :][:1]
            assert recorded["settings"][option] == (True if option == "display" else float(*given))
    if words[0] == "latency":
        wanted = REAL_TIME if REAL_TIME in words else ORDINARY
        assert {row["priority"] for row in recorded["rows"]} == {wanted}


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
    # The one that fails is named, and what the other found is told nevertheless.
    assert status == 1
    assert "rtsep-bench offline --rounds 0: failed" in err
    measured = json.loads((tmp_path / "kept" / "slide.json").read_text())["rows"]
    new = [row for row in measured if row["contender"] == "rows heard and new"]
    rows = json.loads(json_file.read_text())["rows"]
    assert [row["here_figures"] for row in rows] == [
        pytest.approx([100 * row["ratio_to_whole"], 100 * row["flop_ratio"]]) for row in new
    ]
    for row in rows:
        assert row["here"] in out and row["documented"] in out
        assert row["documented"] in (ROOT / "docs" / "latency.md").read_text()
    assert plot_file.stat().st_size > 0


def test_unknown_measurements_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["claims", "--only", "slide,nonsense"]) == 2
    err = capsys.readouterr().err
    assert "'nonsense'" in err and "slide" in err and err.count("\n") == 1

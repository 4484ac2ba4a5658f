"""`rtsep-weights`: list, fetch, verify, help; one line and the right status for trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from rtsep.cli.weights import main
from rtsep.nets.arrays import stem_shapes
from rtsep.nets.registry import MODELS, UNPUBLISHED
from rtsep.weights import library as weights
from rtsep.weights.manifest import MANIFEST_FILE, MANIFEST_PACKAGE, Manifest, read_manifest
from tests.weights.helpers import NAME, MadeUpModel, failure
from tests.weights.made_up_weights import made_up_manifest
from tests.weights.release_server import ReleaseServer


def test_the_manifest_describes_the_models_that_rtsep_knows() -> None:
    manifest = read_manifest()
    assert set(manifest.models) == {
        config.weights_name for name, config in MODELS.items() if name not in UNPUBLISHED
    }
    floats_per_stem = 9_826_759  # with gamma, beta, mean, variance and conv6's batch norm
    for name, entry in manifest.models.items():
        assert entry.stems == MODELS[name].stems
        assert entry.data_bytes == 4 * floats_per_stem * len(entry.stems) + 8  # and the step
        assert len(bytes.fromhex(entry.data_sha256)) == 32
    text = files(MANIFEST_PACKAGE).joinpath(MANIFEST_FILE).read_text(encoding="utf-8")
    shapes = json.loads(text)["shapes_per_stem"]
    assert {name: tuple(shape) for name, shape in shapes.items() if isinstance(shape, list)} == {
        name.partition("/")[0]: shape
        for name, shape in stem_shapes().items()
        if name.endswith("kernel")
    }


def test_fetch_list_and_verify(
    cache: Path,
    release: ReleaseServer,
    two_stems: MadeUpModel,
    manifest: Manifest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fetch", NAME], manifest) == 0
    path = cache / "spleeter-2stems.safetensors"
    out, err = capsys.readouterr()
    assert out == f"{NAME}: {path}\n"
    assert "fetching spleeter:2stems from 127.0.0.1" in err and "100 % of" in err
    assert main(["verify"], manifest) == 0
    assert capsys.readouterr().out == f"{NAME}: good, genuine ({path})\n"
    assert main(["list"], manifest) == 0
    assert f"{NAME} (vocals, accompaniment): installed\n" in capsys.readouterr().out
    assert main(["list", "--json"], manifest) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["folder"] == str(cache)
    row, *untrained = listed["models"]
    assert [other["name"] for other in untrained] == list(UNPUBLISHED)
    assert row == {
        "name": NAME,
        "stems": ["vocals", "accompaniment"],
        "installed": True,
        "untrained": False,
        "own": False,
        "genuine": True,
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "source": "Spleeter's 2stems.tar.gz",
        "source_sha256": two_stems.data_sha256,
        "licence": "MIT",
        "problem": None,
    }


def test_damaged_weights_are_reported(
    cache: Path, two_stems: MadeUpModel, manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(two_stems.checkpoint), "--name", NAME], manifest) == 0
    capsys.readouterr()
    os.truncate(weights.weights_path(NAME), 100)
    assert main(["verify", NAME], manifest) == 1
    assert "is damaged" in failure(capsys)
    assert main(["list"], manifest) == 0
    assert "damaged: " in capsys.readouterr().out
    assert main(["list", "--json"], manifest) == 0
    row = json.loads(capsys.readouterr().out)["models"][0]
    assert row["problem"] and row["genuine"] is None


def test_nothing_installed(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.count("not installed") == len(read_manifest().models)
    assert main(["verify"]) == 1
    assert "no weights are installed" in failure(capsys)
    assert main(["verify", NAME]) == 1
    assert f"run `rtsep-weights fetch {NAME}`" in failure(capsys)
    assert weights.installed() == []


@pytest.mark.parametrize("command", [["fetch", "x"], ["verify", "x"]])
def test_an_unknown_model_is_a_usage_error(
    cache: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main(command) == 2
    assert "unknown model 'x'" in failure(capsys)


@pytest.mark.parametrize("command", [[], ["fetch"], ["import", "."], ["nothing"]])
def test_an_impossible_call_is_one_line(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_one_failure_does_not_stop_the_others(
    cache: Path, two_stems: MadeUpModel, manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(two_stems.checkpoint), "--name", NAME], manifest) == 0
    capsys.readouterr()
    four = made_up_manifest("spleeter:4stems", "f" * 64)
    both = Manifest(four.models | manifest.models, manifest.release)
    assert main(["verify", "spleeter:4stems", NAME], both) == 1
    out, err = capsys.readouterr()
    assert f"{NAME}: good" in out and "spleeter:4stems are not installed" in err


def test_a_folder_that_cannot_be_made_is_one_line(
    two_stems: MadeUpModel,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RTSEP_WEIGHTS", str(tmp_path / "file" / "weights"))
    assert main(["import", str(two_stems.checkpoint), "--name", NAME], manifest) == 1
    message = failure(capsys)
    assert f"cannot write {tmp_path / 'file' / 'weights'}" in message
    assert "RTSEP_WEIGHTS" in message


def test_help_is_documentation() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "rtsep.cli.weights", "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0 and result.stderr == ""
    for word in ("examples:", "list", "fetch", "import", "verify", "RTSEP_WEIGHTS"):
        assert word in result.stdout


def test_a_terminal_gets_a_bar(
    cache: Path, two_stems: MadeUpModel, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar is drawn on a real (pseudo-)terminal and names what is being done."""
    pty = pytest.importorskip("pty")  # Windows has none
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        assert main(["import", str(two_stems.archive), "--name", NAME], manifest) == 0
    drawn = os.read(ours, 1 << 16).decode(errors="replace")
    os.close(ours)
    assert f"storing {NAME}" in drawn

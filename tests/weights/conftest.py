"""Full-size made-up weights, written once per session, and where tests fetch them from and to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsep.weights.manifest import Manifest
from tests.weights.helpers import NAME, MadeUpModel
from tests.weights.made_up_weights import (
    made_up_arrays,
    made_up_manifest,
    made_up_variables,
    write_bundle,
    write_release_archive,
)
from tests.weights.release_server import ReleaseServer, serve


@pytest.fixture(scope="session")
def two_stems(tmp_path_factory: pytest.TempPathFactory) -> MadeUpModel:
    folder = tmp_path_factory.mktemp("two_stems")
    stems = {"vocals": made_up_arrays(1), "accompaniment": made_up_arrays(2)}
    variables = made_up_variables(list(stems.values()))
    checkpoint, archive = folder / "checkpoint", folder / "2stems.tar.gz"
    data_sha256 = write_bundle(checkpoint, variables)
    write_release_archive(archive, checkpoint)
    return MadeUpModel(stems, variables, checkpoint, archive, data_sha256)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder of the test's own."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("RTSEP_WEIGHTS", str(folder))
    monkeypatch.delenv("RTSEP_RELEASE_URL", raising=False)
    # Nothing on loopback goes through a proxy.
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture
def manifest(two_stems: MadeUpModel) -> Manifest:
    """A manifest to which the made-up 2 stems are the genuine ones."""
    return made_up_manifest(NAME, two_stems.data_sha256)


@pytest.fixture
def release(
    cache: Path, two_stems: MadeUpModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReleaseServer]:
    """A release on loopback with the made-up 2 stems, named by RTSEP_RELEASE_URL."""
    with serve({"2stems.tar.gz": two_stems.archive}) as server:
        monkeypatch.setenv("RTSEP_RELEASE_URL", server.url)
        yield server

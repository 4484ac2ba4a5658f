"""The weights of the models on this machine: where they are, loading, fetching, importing.

Every program gets its weights here. Each model's file stands in the cache folder (cache_folder)
under its final name only when it is complete and checked; whatever writes there holds the model's
lock, so that two processes that want the same model at once fetch it once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.errors import UsageError, WeightsError
from rtsep.nets.registry import MODELS, UNPUBLISHED, ModelConfig, find_model
from rtsep.nets.structure import Structure
from rtsep.system.part_file import killed_parts
from rtsep.weights.disk import make_folder, writing
from rtsep.weights.importing import SAFETENSORS_SUFFIX, Imported, read_any, read_checkpoint_of
from rtsep.weights.lock import only_writer
from rtsep.weights.manifest import Manifest, WeightsEntry, read_manifest
from rtsep.weights.network import Network
from rtsep.weights.own_models import check_name, config_of, read_own
from rtsep.weights.store import (
    Provenance,
    StemArrays,
    read_provenance,
    read_weights,
    sidecar_of,
    write_weights,
)
from rtsep_kernels.user_cache import NO_HOME, user_cache

if TYPE_CHECKING:
    from rtsep.weights.download import ByteProgress

CACHE_VARIABLE = "RTSEP_WEIGHTS"
DOWNLOADS = "downloads"


@dataclass(frozen=True)
class InstalledWeights:
    """One model's weights on this machine.

    genuine: made from exactly the checkpoint that the manifest names.  own: of a model that rtsep does
    not know, see own_models.py.
    """

    name: str
    path: Path
    size_bytes: int
    genuine: bool
    own: bool
    provenance: Provenance


def cache_folder() -> Path:
    """The folder of the weights: $RTSEP_WEIGHTS, or `weights` in the user's cache of rtsep.

    Raises WeightsError where the user has neither.
    """
    moved = os.environ.get(CACHE_VARIABLE)
    if moved:
        try:
            return Path(moved).expanduser()
        except RuntimeError as error:  # ~ of a user who has no home
            raise WeightsError(
                f"{CACHE_VARIABLE}={moved}: {error}: name the folder in full"
            ) from error
    cache = user_cache()
    if cache is None:
        raise WeightsError(
            f"there is no place for weights: {NO_HOME}: set {CACHE_VARIABLE} to their folder"
        )
    return cache / "weights"


def weights_path(weights_name: str) -> Path:
    """Where weights of this name are stored; Windows allows no colon in a file name."""
    return cache_folder() / (weights_name.replace(":", "-") + SAFETENSORS_SUFFIX)


def is_installed(weights_name: str) -> bool:
    """Whether the weights of this name are there; says nothing about their state.

    Raises WeightsError where their folder cannot be looked into.
    """
    return _is_there(weights_path(weights_name))


def _is_there(path: Path) -> bool:
    try:
        return path.is_file() and sidecar_of(path).is_file()
    except OSError as error:
        raise WeightsError(
            f"cannot read {path}: {error.strerror}: set {CACHE_VARIABLE} to a folder that can be read"
        ) from error


def model_named(name: str) -> ModelConfig:
    """The model that programs know as `name`: one of rtsep's, or one of one's own that was imported.

    Raises UsageError naming both, WeightsError where the file of one's own cannot be read.
    """
    if name in MODELS:
        return MODELS[name]
    own = own_models()
    if name in own:
        path = weights_path(name)
        return config_of(name, read_provenance(path), path)
    try:
        return find_model(name)
    except UsageError as error:
        yours = f"; your own: {', '.join(own)}" if own else ""
        raise UsageError(f"{error}{yours}") from None


def own_models() -> list[str]:
    """Names of one's own models that were imported, sorted."""
    official = {weights_path(config.weights_name) for config in MODELS.values()}
    try:
        there = sorted(cache_folder().glob(f"*{SAFETENSORS_SUFFIX}"))
    except (OSError, WeightsError):
        return []
    return [path.stem for path in there if path not in official and _is_there(path)]


def load(
    config: ModelConfig, progress: ByteProgress | None = None, manifest: Manifest | None = None
) -> dict[str, StemArrays]:
    """The canonical arrays of each net, in the order of kinds.nets_of, by its name.

    The arrays are read-only and in memory only while they are used (mapped_arrays.py); the file was
    checked against its SHA-256. Weights that are not there are fetched first. Raises WeightsError if
    they cannot be, or are damaged.
    """
    path = weights_path(config.weights_name)
    if not _is_there(path):
        fetch(config.weights_name, progress=progress, manifest=manifest)
    provenance, nets = read_weights(path, config.weights_name)
    if provenance.network or config.name in UNPUBLISHED:
        _check_fits(provenance, config, path)
    elif tuple(nets) != config.net_stems:
        raise WeightsError(
            f"{path} holds the stems {', '.join(nets)}, {config.name} needs"
            f" {', '.join(config.net_stems)}: run `rtsep-weights fetch {config.weights_name} --force`"
        )
    return nets


def _check_fits(provenance: Provenance, config: ModelConfig, path: Path) -> None:
    """Raise WeightsError where the weights in `path` are of other nets than the model's."""
    if not provenance.network:
        raise WeightsError(
            f"{path} holds nets of Spleeter's, {config.name} is a {config.kind}: import it anew"
        )
    stems = ",".join(config.net_stems)
    if provenance.stems != stems:
        raise WeightsError(
            f"{path} holds the stems {provenance.stems}, {config.name} needs {stems}: import it under"
            " a name of its own"
        )
    theirs, mine = Network.from_text(provenance.network), Network.of(config)
    for name, value in vars(mine).items():
        if vars(theirs)[name] != value:
            raise WeightsError(
                f"{path} holds nets with {name} {_in_words(vars(theirs)[name])}, {config.name} has"
                f" {_in_words(value)}: import it under a name of its own"
            )


def _in_words(value: object) -> str:
    """Part of a Network, in a line."""
    if isinstance(value, Structure):
        return ", ".join(f"{name} {part}" for name, part in value.as_json().items())
    return str(value)


def untrained(name: str) -> str:
    """What to tell who asks for a model without weights that none are published of."""
    return (
        f"{name} is untrained, no weights of it are published: train them with `rtsep-train SONGS -o run"
        f" --network {name}`, then `rtsep-weights import run --name {name}` (docs/training.md)"
    )


def fetch(
    name: str,
    force: bool = False,
    progress: ByteProgress | None = None,
    manifest: Manifest | None = None,
) -> Path:
    """Install the genuine weights of model `name` from the network; returns their path.

    Does nothing if intact weights are there, unless `force`; damaged ones are replaced. Raises
    WeightsError naming every source's reason and what can be done; what was there stays.
    """
    manifest = manifest or read_manifest()
    entry = _entry(name, manifest)
    if _is_own(name):
        raise UsageError(
            f"{name} is a model of your own: there is nothing to fetch; import it again"
        )
    if name in UNPUBLISHED:
        raise WeightsError(untrained(name))
    report = progress or _silent
    path = weights_path(entry.name)
    if not force and _is_intact(path, entry, report):
        return path
    with _installing(path, entry, report) as work:
        # Another process may have done it while this one waited for its turn.
        if force or not _is_intact(path, entry, report):
            from rtsep.weights.fetch import fetch_checkpoint  # HTTP and all that

            downloads = cache_folder() / DOWNLOADS
            make_folder(downloads)
            folder, source = fetch_checkpoint(entry, manifest.release, downloads, work, report)
            _install(path, read_checkpoint_of(folder, source, entry, manifest, False), report)
    return path


def import_path(
    path: Path,
    name: str,
    allow_unknown: bool = False,
    progress: ByteProgress | None = None,
    manifest: Manifest | None = None,
) -> Path:
    """Install the weights of model `name` from `path` (see importing.py); returns their new path.

    Under a name that is none of rtsep's models it installs one's own (see own_models.py).
    allow_unknown: accept weights that the manifest does not know. Raises WeightsError, UsageError.
    """
    manifest = manifest or read_manifest()
    own = _is_own(name)
    entry = _own_entry(check_name(name)) if own else _entry(name, manifest)
    trained_here = own or name in UNPUBLISHED
    report = progress or _silent
    try:
        path.stat()
    except FileNotFoundError:
        raise WeightsError(f"cannot import {path}: there is no such file or folder") from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot import {path}: {error}") from error
    stored = weights_path(entry.name)
    with _installing(stored, entry, report) as work:
        report(0, None, f"reading {path}")
        if trained_here:
            provenance, stems = read_own(path)
            if not own:
                _check_fits(provenance, MODELS[name], path)
            imported = Imported(stems, replace(provenance, model=name))
        else:
            imported = read_any(path, entry, manifest, work, allow_unknown)
        _install(stored, imported, report)
    return stored


def verify(name: str, manifest: Manifest | None = None) -> InstalledWeights:
    """Check the installed weights of `name` as loading does; raises WeightsError if they fail."""
    entry = _entry(name, manifest or read_manifest())
    path = weights_path(entry.name)
    if not _is_there(path):
        raise WeightsError(
            f"the weights of {entry.name} are not installed: run `rtsep-weights fetch {entry.name}`"
            if entry.data_sha256
            else untrained(entry.name)
        )
    provenance, _ = read_weights(path, entry.name)
    return _describe(path, entry, provenance)


def inspect(name: str, manifest: Manifest | None = None) -> InstalledWeights | None:
    """What is installed under `name` by the file's header, unchecked; None if nothing is.

    Raises WeightsError if the header cannot be read.
    """
    entry = _entry(name, manifest or read_manifest())
    path = weights_path(entry.name)
    return _describe(path, entry, read_provenance(path)) if _is_there(path) else None


def remove(name: str) -> Path:
    """Delete one's own model `name`, also a damaged one; returns the path of its file.

    A program that runs it keeps what it has loaded, except on Windows, which deletes no open file.
    Raises UsageError for a name that is none of one's own models, WeightsError where the file stays.
    """
    own = own_models()
    if name not in own:
        there = f"your own: {', '.join(own)}" if own else "there is none"
        raise UsageError(f"only models of your own can be removed, {name!r} is not one: {there}")
    path = weights_path(name)
    lock = path.with_suffix(".lock")
    with only_writer(lock, lambda: None):
        try:
            path.unlink(missing_ok=True)
            sidecar_of(path).unlink(missing_ok=True)
        except OSError as error:
            raise WeightsError(
                f"cannot remove {path}: {error.strerror}: end the programs that use it, and see whether"
                " you may write there"
            ) from error
    return path


def installed() -> list[str]:
    """The names of the weights that are there, the manifest's first; nothing is checked."""
    known = [*read_manifest().models, *UNPUBLISHED]
    return [name for name in known if is_installed(name)] + own_models()


def _is_intact(path: Path, entry: WeightsEntry, progress: ByteProgress) -> bool:
    """Whether weights are there and pass every check; says so through progress if they do not."""
    if not _is_there(path):
        return False
    try:
        read_weights(path, entry.name)
    except WeightsError:
        progress(0, None, f"the weights of {entry.name} are damaged: fetching them again")
        return False
    return True


def _describe(path: Path, entry: WeightsEntry, provenance: Provenance) -> InstalledWeights:
    genuine = provenance.source_sha256 == entry.data_sha256
    own = bool(provenance.network)
    return InstalledWeights(entry.name, path, path.stat().st_size, genuine, own, provenance)


def _entry(name: str, manifest: Manifest) -> WeightsEntry:
    """What is known of the weights of model `name`; raises UsageError for an unknown model.

    Here alone a model's name, as a person gives it, becomes the name of its weights.
    """
    config = model_named(name)
    if _is_own(name) or name in UNPUBLISHED:
        return _own_entry(name, config.net_stems)
    weights_name = config.weights_name
    if weights_name not in manifest.models:
        raise WeightsError(f"the manifest knows no weights of {weights_name}")
    return manifest.models[weights_name]


def _is_own(name: str) -> bool:
    return name not in MODELS


def _own_entry(name: str, stems: tuple[str, ...] = ()) -> WeightsEntry:
    """An entry for weights that no manifest knows."""
    return WeightsEntry(name, stems, "", "", 0, "", "your own", "your own")


def _install(path: Path, imported: Imported, progress: ByteProgress) -> None:
    progress(0, None, f"storing {imported.provenance.model}")
    write_weights(path, imported.stems, imported.provenance)


@contextmanager
def _installing(stored: Path, entry: WeightsEntry, progress: ByteProgress) -> Iterator[Path]:
    """Hold the model's lock; gives an empty working folder that vanishes at the end.

    What a killed process left behind goes first: with the lock held nobody is using it.
    """
    folder = stored.parent
    make_folder(folder)

    def waiting() -> None:
        progress(0, None, f"waiting for another process that installs {entry.name}")

    with only_writer(stored.with_suffix(".lock"), waiting):
        for leftover in folder.glob(f"{stored.stem}.work-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with writing(folder):
            for leftover in [*killed_parts(stored), *killed_parts(sidecar_of(stored))]:
                leftover.unlink(missing_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f"{stored.stem}.work-", dir=folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _silent(done_bytes: int, total_bytes: int | None, what: str) -> None:
    """A progress that nobody watches."""

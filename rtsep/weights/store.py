"""rtsep's own file of weights: one safetensors file per model, used through a memory map.

Arrays are named `{stem}/{array}` (arrays.py), float32, stems and arrays in network order. The
header's `__metadata__` says where they come from (Provenance, all values text). Beside the file
stands `{file}.sha256`, one line as `sha256sum` writes it, holding the file's own SHA-256.

The file is written here and not by the safetensors package, because that one copies every array
first and orders the metadata differently each time: the same arrays give the same bytes here, so
two processes that install one model never disagree with each other's sidecar.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from rtsep.errors import WeightsError
from rtsep.nets.arrays import check_stem
from rtsep.weights.disk import sha256_of, write_whole

FORMAT_VERSION = "1"
SIDECAR_SUFFIX = ".sha256"
# A cache line and the widest vector register: the first array starts at a multiple of it.
DATA_ALIGNMENT_BYTES = 64
LENGTH_BYTES = 8

StemArrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Provenance:
    """Where the arrays of a file come from.

    model: the weights' name.  stems: comma-separated, in order.  source: in words.
    source_sha256: of the source's data file(s).  licence, copyright: of the weights.
    format_version: of this file format.
    """

    model: str
    stems: str
    source: str
    source_sha256: str
    licence: str
    copyright: str
    format_version: str = FORMAT_VERSION


def sidecar_of(path: Path) -> Path:
    """The file that holds the SHA-256 of `path`."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def write_weights(
    path: Path, stems: Mapping[str, Mapping[str, np.ndarray]], provenance: Provenance
) -> None:
    """Write the stems' canonical arrays and their sidecar, each complete or not at all.

    Raises WeightsError if the arrays are not those of the network, if one holds NaN or infinite
    values, or if the disk does not take them.
    """
    named: dict[str, np.ndarray] = {}
    for stem, arrays in stems.items():
        check_stem(arrays, f"{provenance.model}, {stem}")
        named.update({f"{stem}/{name}": array for name, array in arrays.items()})
    header = _header(named, provenance)

    def write(file: BinaryIO) -> None:
        file.write(len(header).to_bytes(LENGTH_BYTES, "little"))
        file.write(header)
        for array in named.values():
            file.write(np.ascontiguousarray(array, "<f4").data)

    write_whole(path, write)
    line = f"{sha256_of(path)}  {path.name}\n".encode()
    write_whole(sidecar_of(path), lambda file: _write_bytes(file, line))


def _write_bytes(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _header(named: Mapping[str, np.ndarray], provenance: Provenance) -> bytes:
    """The JSON header, padded with spaces so that the arrays start aligned."""
    header: dict[str, object] = {"__metadata__": asdict(provenance)}
    offset = 0
    for name, array in named.items():
        end = offset + 4 * array.size
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    return encoded + b" " * (-(LENGTH_BYTES + len(encoded)) % DATA_ALIGNMENT_BYTES)


def read_weights(path: Path, model: str) -> tuple[Provenance, dict[str, StemArrays]]:
    """Provenance and arrays (read-only, in the memory-mapped file) of each stem, all checked.

    model: the weights' name, which the file must bear. Raises WeightsError, naming the file, if
    it or its sidecar is missing, its SHA-256 differs from the sidecar's, it is of another model or
    format, or an array is missing, of the wrong shape or holds NaN or infinite values.
    """
    expected = _read_sidecar(path)
    found = sha256_of(path)
    if found != expected:
        raise WeightsError(
            f"{path} is damaged: its SHA-256 is {found[:16]}..., {SIDECAR_SUFFIX} beside it says"
            f" {expected[:16]}...: {_renew(model)}"
        )
    provenance = read_provenance(path)
    if provenance.model != model:
        raise WeightsError(f"{path} holds the weights of {provenance.model}, not of {model}")
    named = _map_arrays(path)
    stems: dict[str, StemArrays] = {stem: {} for stem in provenance.stems.split(",")}
    for name, array in named.items():
        stem, _, array_name = name.partition("/")
        if stem not in stems:
            raise WeightsError(f"{path} holds an unknown array {name}: {_renew(model)}")
        stems[stem][array_name] = array
    for stem, arrays in stems.items():
        check_stem(arrays, f"{model}, {stem}")
    return provenance, stems


def read_provenance(path: Path) -> Provenance:
    """Where the weights in `path` come from; raises WeightsError if it is no file of this format.

    Reads the header only and checks no hash.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise WeightsError(f"{path} is no readable safetensors file: {error}") from error
    missing = [field.name for field in fields(Provenance) if field.name not in metadata]
    if missing:
        raise WeightsError(f"{path} was not written by rtsep: its header lacks {missing[0]}")
    if metadata["format_version"] != FORMAT_VERSION:
        raise WeightsError(
            f"{path} has format version {metadata['format_version']}, this rtsep reads"
            f" {FORMAT_VERSION}: {_renew(metadata['model'])}"
        )
    return Provenance(**{field.name: metadata[field.name] for field in fields(Provenance)})


def _map_arrays(path: Path) -> dict[str, np.ndarray]:
    """Views of the mapped file. Its header has passed safetensors' own checks before.

    safe_open copies every array it hands out as NumPy; a view leaves the pages to the system. Each
    stem has a mapping of its own, which goes with the last of its arrays.
    """
    mapped = np.memmap(path, np.uint8, "r")
    data_start = LENGTH_BYTES + int.from_bytes(mapped[:LENGTH_BYTES].tobytes(), "little")
    header = json.loads(mapped[LENGTH_BYTES:data_start].tobytes())
    arrays = {}
    maps: dict[str, np.memmap] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise WeightsError(f"{path}: {name} is {entry['dtype']}, rtsep needs F32")
        begin, _ = entry["data_offsets"]
        count = math.prod(entry["shape"])
        stem = name.partition("/")[0]
        if stem not in maps:
            maps[stem] = np.memmap(path, np.uint8, "r")
        flat = np.frombuffer(maps[stem], "<f4", count, data_start + begin)
        arrays[name] = flat.reshape(entry["shape"])
    return arrays


def _read_sidecar(path: Path) -> str:
    sidecar = sidecar_of(path)
    try:
        text = sidecar.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise WeightsError(f"cannot read {sidecar}: {error.strerror}") from error
    match = re.match(r"[0-9a-f]{64}\b", text)
    if match is None:
        raise WeightsError(f"{sidecar} holds no SHA-256: delete it and {path.name}, fetch again")
    return match.group()


def _renew(model: str) -> str:
    return f"run `rtsep-weights fetch {model} --force`"

"""rtsep's own file of weights: one safetensors file per model, used through a memory map.

Arrays are named `{net}/{array}` (kinds.py), float32, nets and arrays in network order; a net is called
like its stem, or `{stem}+{stem}` where it computes several. The header's `__metadata__` says where they
come from (Provenance, all values text). Beside the file stands `{file}.sha256`, one line as `sha256sum`
writes it, holding the file's own SHA-256.

The file is written and read here and not by the safetensors package. That one copies every array,
when it writes and when it reads, and orders the metadata differently each time: the same arrays give
the same bytes here, so two processes that install one model never disagree with each other's sidecar.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rtsep.errors import WeightsError
from rtsep.nets.arrays import check_arrays
from rtsep.weights.checksum import check_regular, sha256_of
from rtsep.weights.disk import reading, write_whole
from rtsep.weights.mapped_arrays import MappedArrays, OpenFile, Place
from rtsep.weights.network import expected_arrays

FORMAT_VERSION = "1"
SIDECAR_SUFFIX = ".sha256"
# A cache line and the widest vector register: the first array starts at a multiple of it.
DATA_ALIGNMENT_BYTES = 64
LENGTH_BYTES = 8
# The header of five stems has 12 kB.
HEADER_MAX_BYTES = 1 << 20

# Metadata that stand in the header only where there is something to say.
_LEFT_OUT = ("network",)

StemArrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Provenance:
    """Where the arrays of a file come from.

    model: the weights' name.  stems: comma-separated, in order.  source: in words.
    source_sha256: of the source's data file(s).  licence, copyright: of the weights.
    format_version: of this file format.  network: what nets they are of (network.py); empty, and not in
    the file, for Spleeter's.
    """

    model: str
    stems: str
    source: str
    source_sha256: str
    licence: str
    copyright: str
    format_version: str = FORMAT_VERSION
    network: str = ""


def sidecar_of(path: Path) -> Path:
    """The file that holds the SHA-256 of `path`."""
    return path.with_name(path.name + SIDECAR_SUFFIX)


def write_weights(
    path: Path, stems: Mapping[str, Mapping[str, np.ndarray]], provenance: Provenance
) -> None:
    """Write each net's canonical arrays and their sidecar, complete or not at all.

    Raises WeightsError if the arrays are not those of the network, if one holds NaN or infinite
    values, or if the disk does not take them.
    """
    named: dict[str, np.ndarray] = {}
    expected = expected_arrays(provenance.network, tuple(provenance.stems.split(",")))
    for stem, arrays in stems.items():
        check_arrays(arrays, expected[stem], f"{provenance.model}, {stem}")
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
    metadata = {
        name: text for name, text in asdict(provenance).items() if name not in _LEFT_OUT or text
    }
    header: dict[str, object] = {"__metadata__": metadata}
    offset = 0
    for name, array in named.items():
        end = offset + 4 * array.size
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    return encoded + b" " * (-(LENGTH_BYTES + len(encoded)) % DATA_ALIGNMENT_BYTES)


def read_weights(path: Path, model: str) -> tuple[Provenance, dict[str, StemArrays]]:
    """Provenance and arrays (read-only, mapped while they are used) of each net, all checked.

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
    header = _read_header(path)
    provenance = header.provenance
    if provenance.model != model:
        raise WeightsError(f"{path} holds the weights of {provenance.model}, not of {model}")
    try:
        shapes = expected_arrays(provenance.network, tuple(provenance.stems.split(",")))
    except (ValueError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path} does not say what nets it is for: {_renew(model)}") from error
    places: dict[str, dict[str, Place]] = {stem: {} for stem in shapes}
    for name, place in header.arrays.items():
        stem, _, array_name = name.partition("/")
        if stem not in places:
            raise WeightsError(f"{path} holds an unknown array {name}: {_renew(model)}")
        places[stem][array_name] = place
    with reading(path):
        file = OpenFile(path)
    stems: dict[str, StemArrays] = {stem: MappedArrays(file, of) for stem, of in places.items()}
    for stem, arrays in stems.items():
        check_arrays(arrays, shapes[stem], f"{model}, {stem}")
    return provenance, stems


def read_provenance(path: Path) -> Provenance:
    """Where the weights in `path` come from; raises WeightsError if it is no file of this format.

    Reads the header only and checks no hash.
    """
    return _read_header(path).provenance


@dataclass(frozen=True)
class _Header:
    provenance: Provenance
    arrays: dict[str, Place]


def _read_header(path: Path) -> _Header:
    """All that a file says of itself; raises WeightsError where it is not of this format."""
    try:
        with reading(path):
            check_regular(path)
            with path.open("rb") as file:
                size_bytes = file.seek(0, 2)
                file.seek(0)
                header_bytes = int.from_bytes(file.read(LENGTH_BYTES), "little")
                if not 0 < header_bytes <= min(size_bytes - LENGTH_BYTES, HEADER_MAX_BYTES):
                    raise _Unreadable(f"a header of {header_bytes} bytes in a file of {size_bytes}")
                document = json.loads(file.read(header_bytes))
        if not isinstance(document, dict):
            raise _Unreadable("its header is no JSON object")
        provenance = _provenance(path, document.pop("__metadata__", {}))
        data_start = LENGTH_BYTES + header_bytes
        return _Header(provenance, _places(document, data_start, size_bytes))
    # RecursionError: JSON within JSON within JSON.
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path} is no readable safetensors file: {reason}") from error


class _Unreadable(ValueError):
    """The file is not of this format; the text says why."""


def _provenance(path: Path, metadata: object) -> Provenance:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Unreadable("its metadata are no texts by name")
    metadata = dict.fromkeys(_LEFT_OUT, "") | metadata
    missing = [field.name for field in fields(Provenance) if field.name not in metadata]
    if missing:
        raise WeightsError(f"{path} was not written by rtsep: its header lacks {missing[0]}")
    if metadata["format_version"] != FORMAT_VERSION:
        raise WeightsError(
            f"{path} has format version {metadata['format_version']}, this rtsep reads"
            f" {FORMAT_VERSION}: {_renew(metadata['model'])}"
        )
    return Provenance(**{field.name: metadata[field.name] for field in fields(Provenance)})


def _places(entries: dict[str, Any], data_start: int, size_bytes: int) -> dict[str, Place]:
    """Where each array stands: one behind the other, from `data_start` to the end of the file."""
    spans = {name: _numbers(entry, "data_offsets") for name, entry in entries.items()}
    for name, entry in entries.items():
        if entry.get("dtype") != "F32":
            raise _Unreadable(f"{name} is {entry.get('dtype')}, rtsep needs F32")
    places = {}
    end = 0
    for name, offsets in sorted(spans.items(), key=lambda item: item[1]):
        shape = _numbers(entries[name], "shape")
        length_bytes = 4 * math.prod(shape)
        if offsets != (end, end + length_bytes):
            raise _Unreadable(f"{name} stands at {offsets}, expected {(end, end + length_bytes)}")
        places[name] = Place(shape, data_start + end)
        end += length_bytes
    if data_start + end != size_bytes:
        raise _Unreadable(f"its arrays end at byte {data_start + end} of {size_bytes}")
    return places


def _numbers(entry: Any, name: str) -> tuple[int, ...]:
    """A list of whole numbers, none of them negative, in an array's entry."""
    numbers = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
        raise _Unreadable(f"an array's {name} is {numbers!r}")
    return tuple(numbers)


def _read_sidecar(path: Path) -> str:
    sidecar = sidecar_of(path)
    with reading(sidecar):
        text = sidecar.read_text(encoding="ascii", errors="replace")
    match = re.match(r"[0-9a-f]{64}\b", text)
    if match is None:
        raise WeightsError(f"{sidecar} holds no SHA-256: delete it and {path.name}, fetch again")
    return match.group()


def _renew(model: str) -> str:
    if ":" not in model:  # one's own
        return f"import {model} again"
    return f"run `rtsep-weights fetch {model} --force`"

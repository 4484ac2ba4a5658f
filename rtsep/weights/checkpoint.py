"""Reader of TensorFlow checkpoints (V2 "bundles") without TensorFlow.

A checkpoint is two files in one folder:

    model.index                 a LevelDB table (leveldb_table.py): variable name -> BundleEntry
    model.data-00000-of-00001   the variables' bytes, one after another, little-endian

The entry under the empty name is a BundleHeader. Both are protocol buffers; the fields used here,
from tensorflow/core/protobuf/tensor_bundle.proto:

    BundleHeader: 1 num_shards, 2 endianness (0 = little)
    BundleEntry:  1 dtype, 2 shape, 3 shard_id, 4 offset, 5 size, 7 slices
    shape:        2 dim (repeated), each: 1 size;  3 unknown_rank
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rtsep.errors import WeightsError
from rtsep.weights.checksum import check_regular
from rtsep.weights.disk import reading
from rtsep.weights.leveldb_table import GarbledTable, read_table, read_varint, take

INDEX_FILE = "model.index"
DATA_FILE = "model.data-00000-of-00001"

# DataType numbers of tensorflow/core/framework/types.proto; a checkpoint of Spleeter holds
# float32 variables and the int64 training step.
DTYPES: dict[int, np.dtype] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
}
# The index of five stems has 13 kB; whatever is so much larger is no such index.
INDEX_MAX_BYTES = 1 << 20
RANK_MAX = 8
ELEMENTS_MAX = 1 << 40

Message = dict[int, list[int | bytes]]
# dtype, shape and byte offset of a variable.
Layout = tuple[np.dtype, tuple[int, ...], int]


def read_checkpoint(folder: Path) -> dict[str, np.ndarray]:
    """Name and value of every variable of the checkpoint in `folder`.

    The arrays are read-only views of one memory map of the data file: nothing is read until it is
    used. Raises WeightsError, naming the file and the problem, for a missing, truncated or garbled
    file, and for a checkpoint of several shards or of a kind of variable not known here.
    """
    index_path, data_path = folder / INDEX_FILE, folder / DATA_FILE
    try:
        with reading(index_path):
            check_regular(index_path)
            if index_path.stat().st_size > INDEX_MAX_BYTES:
                raise GarbledTable(f"{index_path.stat().st_size} bytes are far too many")
            entries = dict(read_table(index_path.read_bytes()))
        _check_header(_message(entries.pop(b"", b"")))
        layout = {_text(name): _layout(_message(entry)) for name, entry in entries.items()}
        _check_no_overlap(layout)
    except GarbledTable as error:
        raise WeightsError(
            f"{index_path} is no readable TensorFlow checkpoint index: {error}: fetch it again"
        ) from error
    try:
        with reading(data_path):
            check_regular(data_path)
            shard = np.memmap(data_path, np.uint8, "r")
    except ValueError as error:  # an empty file cannot be mapped
        raise WeightsError(f"{data_path} is empty: fetch it again") from error
    variables = {}
    for name, (dtype, shape, offset) in layout.items():
        end = offset + dtype.itemsize * math.prod(shape)
        if end > shard.size:
            raise WeightsError(
                f"{data_path} is cut short: {name} ends at byte {end}, the file has {shard.size}:"
                " fetch it again"
            )
        # Through frombuffer, since a slice of a memmap may stand at any odd address.
        variables[name] = np.frombuffer(shard[offset:end], dtype).reshape(shape)
    return variables


def _check_no_overlap(layout: Mapping[str, Layout]) -> None:
    """Raise GarbledTable if two variables share bytes: then one of the offsets is wrong."""
    end = 0
    for name, (dtype, shape, offset) in sorted(layout.items(), key=lambda item: item[1][2]):
        size = dtype.itemsize * math.prod(shape)
        if offset < end and size:
            raise GarbledTable(f"{name} begins at byte {offset}, within another variable")
        end = max(end, offset + size)


def _message(encoded: bytes) -> Message:
    """The fields of a protocol buffer: number -> values, in order of appearance."""
    fields: Message = {}
    position = 0
    while position < len(encoded):
        tag, position = read_varint(encoded, position)
        number, wire_type = tag >> 3, tag & 7
        value: int | bytes
        if wire_type == 0:
            value, position = read_varint(encoded, position)
        elif wire_type == 2:
            length, position = read_varint(encoded, position)
            value, position = take(encoded, position, length)
        elif wire_type in (1, 5):
            value, position = take(encoded, position, 8 if wire_type == 1 else 4)
        else:
            raise GarbledTable(f"a field has the unknown wire type {wire_type}")
        fields.setdefault(number, []).append(value)
    return fields


def _number(message: Message, field: int) -> int:
    """The last value of a number field; 0, protocol buffers' default, where it is absent."""
    value = message.get(field, [0])[-1]
    if not isinstance(value, int):
        raise GarbledTable(f"field {field} should be a number")
    return value


def _parts(message: Message, field: int) -> list[Message]:
    """The values of a field that holds messages."""
    parts = []
    for value in message.get(field, []):
        if not isinstance(value, bytes):
            raise GarbledTable(f"field {field} should be a message")
        parts.append(_message(value))
    return parts


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise GarbledTable(f"a variable's name is no text: {name[:40]!r}") from error


def _check_header(header: Message) -> None:
    shards = _number(header, 1)
    if shards != 1:
        raise GarbledTable(f"{shards} data files announced; only checkpoints of one are read")
    if _number(header, 2) != 0:
        raise GarbledTable("it was written on a big-endian machine")


def _layout(entry: Message) -> Layout:
    """What the index says of a variable; raises GarbledTable."""
    number = _number(entry, 1)
    if number not in DTYPES:
        raise GarbledTable(f"a variable has the unknown data type {number}")
    if 7 in entry or _number(entry, 3) != 0:
        raise GarbledTable("a variable is split into slices or lies in another data file")
    shape = tuple(_number(dim, 1) for part in _parts(entry, 2) for dim in _parts(part, 2))
    # NumPy refuses such shapes even where a length of 0 makes them empty.
    if len(shape) > RANK_MAX or math.prod(max(length, 1) for length in shape) > ELEMENTS_MAX:
        raise GarbledTable(f"a variable has the impossible shape {shape}")
    offset, length = _number(entry, 4), _number(entry, 5)
    if length != DTYPES[number].itemsize * math.prod(shape):
        raise GarbledTable(f"a variable of shape {shape} has {length} bytes")
    return DTYPES[number], shape, offset

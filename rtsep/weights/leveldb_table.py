"""Reader of LevelDB tables, the format of a TensorFlow checkpoint's `model.index`.

A table is a run of blocks and a 48-byte footer:

    data blocks | meta-index block | index block | footer
    block   = entries | restart offsets (uint32 each) | their count (uint32)
    trailer = compression (1 byte) | masked CRC-32C of block and compression byte (uint32)
    entry   = shared key bytes | new key bytes | value bytes (varints) | key rest | value
    footer  = handles of meta-index and index block (varints), padding, magic number

An entry's key repeats the first `shared` bytes of the key before it. The index block's values are
handles (offset and length, varints) of the data blocks. All numbers are little-endian. Described
in LevelDB's doc/table_format.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MAGIC = 0xDB4775248B80FB57
FOOTER_BYTES = 48
TRAILER_BYTES = 5
VARINT_MAX_BYTES = 10
# Names of variables have some 50 bytes. Each key may repeat all of the one before it, so that keys
# without a bound would need the square of the table's size.
KEY_MAX_BYTES = 1024
CASTAGNOLI_REVERSED = 0x82F63B78
# LevelDB stores no CRC as it is, since the CRC of data that holds its own CRC is degenerate.
CRC_MASK_DELTA = 0xA282EAD8


class GarbledTable(ValueError):
    """The bytes are no LevelDB table, or a damaged one; the message says what is wrong."""


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """Read one base-128 varint; returns its value and the position behind it."""
    value = 0
    for step in range(VARINT_MAX_BYTES):
        if position >= len(data):
            raise GarbledTable("a number runs past the end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * step)
        if byte < 0x80:
            return value, position
    raise GarbledTable(f"a number is longer than {VARINT_MAX_BYTES} bytes")


def take(data: bytes, position: int, count: int) -> tuple[bytes, int]:
    """Return `count` bytes from `position` and the position behind them."""
    if count > len(data) - position:
        raise GarbledTable(f"{count} bytes announced, {len(data) - position} there")
    return data[position : position + count], position + count


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (CASTAGNOLI_REVERSED if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of `data`, rotated and offset as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + CRC_MASK_DELTA) & 0xFFFFFFFF


def _block(table: bytes, handle: bytes, position: int) -> tuple[bytes, int]:
    """Contents of the block whose handle stands in `handle`, and the position behind that."""
    offset, position = read_varint(handle, position)
    length, position = read_varint(handle, position)
    if offset + length + TRAILER_BYTES > len(table) - FOOTER_BYTES:
        raise GarbledTable(
            f"a block ends at byte {offset + length + TRAILER_BYTES},"
            f" the blocks' part has {len(table) - FOOTER_BYTES}"
        )
    contents = table[offset : offset + length]
    compression, stored_crc = struct.unpack_from("<BI", table, offset + length)
    if masked_crc32c(table[offset : offset + length + 1]) != stored_crc:
        raise GarbledTable(f"the checksum of the block at byte {offset} is wrong")
    if compression != 0:
        raise GarbledTable(f"the block at byte {offset} is compressed (kind {compression})")
    return contents, position


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of one block, in order."""
    if len(block) < 4:
        raise GarbledTable(f"a block has {len(block)} bytes")
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise GarbledTable(f"a block of {len(block)} bytes announces {restarts} restarts")
    entries = block[:end]
    position = 0
    key = b""
    while position < end:
        shared, position = read_varint(entries, position)
        unshared, position = read_varint(entries, position)
        value_length, position = read_varint(entries, position)
        if shared > len(key):
            raise GarbledTable(f"a key shares {shared} bytes with one of {len(key)}")
        if shared + unshared > KEY_MAX_BYTES:
            raise GarbledTable(f"a key has {shared + unshared} bytes")
        rest, position = take(entries, position, unshared)
        value, position = take(entries, position, value_length)
        key = key[:shared] + rest
        yield key, value


def read_table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every key and value of a table, in the order of the keys; raises GarbledTable.

    table: the whole file. Every block's checksum is checked before it is read.
    """
    if len(table) < FOOTER_BYTES:
        raise GarbledTable(f"{len(table)} bytes are less than the {FOOTER_BYTES} of a footer")
    footer = table[-FOOTER_BYTES:]
    (magic,) = struct.unpack_from("<Q", footer, FOOTER_BYTES - 8)
    if magic != MAGIC:
        raise GarbledTable("the magic number at the end is missing (cut short, or another format)")
    _, position = read_varint(footer, 0)
    _, position = read_varint(footer, position)
    index_block, _ = _block(table, footer, position)
    end = 0
    for _, handle in _entries(index_block):
        offset, _ = read_varint(handle, 0)
        # Blocks stand in order: one that many handles name would be read as many times.
        if offset < end:
            raise GarbledTable(f"a block begins at byte {offset}, before the end of another")
        data_block, _ = _block(table, handle, 0)
        end = offset + len(data_block)
        yield from _entries(data_block)

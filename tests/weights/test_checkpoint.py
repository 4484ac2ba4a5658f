"""The checkpoint reader: what TensorFlow's layout holds, and only WeightsError for the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsep.errors import WeightsError
from rtsep.nets.arrays import check_stem
from rtsep.weights.checkpoint import DATA_FILE, INDEX_FILE, read_checkpoint
from rtsep.weights.leveldb_table import masked_crc32c
from rtsep.weights.spleeter_variables import stems_from_variables
from tests.weights.helpers import MadeUpModel
from tests.weights.made_up_weights import (
    Arrays,
    bundle_entry,
    bundle_header,
    sign_block,
    table,
    table_block,
    write_bundle,
)

SMALL: Arrays = {
    "conv2d/bias": np.arange(3, dtype=np.float32),
    "conv2d/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "conv2d_1/bias": np.array([1.5], np.float64),
    "conv2d_1/kernel": np.zeros((0, 4), np.int32),
    "global_step": np.array(7, np.int64),
}


def test_crc32c_is_castagnolis() -> None:
    # The check value of the CRC catalogue, masked as LevelDB's crc32c.h says.
    crc = 0xE3069283
    assert masked_crc32c(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize("entries_per_block", [1, 2, 100])
def test_every_variable_comes_back(tmp_path: Path, entries_per_block: int) -> None:
    write_bundle(tmp_path, SMALL, entries_per_block)
    variables = read_checkpoint(tmp_path)
    assert list(variables) == sorted(SMALL)
    for name, value in SMALL.items():
        assert variables[name].dtype == value.dtype
        np.testing.assert_array_equal(variables[name], value, strict=True)
        assert not variables[name].flags.writeable


@settings(max_examples=50, deadline=None)
@given(
    shapes=st.dictionaries(
        st.text("abc/_1", min_size=1, max_size=8), st.lists(st.integers(0, 4), max_size=4)
    ),
    entries_per_block=st.integers(1, 20),
)
def test_any_names_and_shapes_come_back(
    tmp_path_factory: pytest.TempPathFactory, shapes: dict[str, list[int]], entries_per_block: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    random = np.random.default_rng(3)
    given_variables = {
        name: random.standard_normal(shape, np.float32) if shape else np.array(2, np.float32)
        for name, shape in shapes.items()
    }
    # A data file of no bytes at all cannot be mapped.
    given_variables["z"] = np.ones(1, np.float32)
    write_bundle(folder, given_variables, entries_per_block)
    variables = read_checkpoint(folder)
    assert set(variables) == set(given_variables)
    for name, value in given_variables.items():
        np.testing.assert_array_equal(variables[name], value, strict=True)


def test_an_index_cut_short_anywhere_is_one_error(tmp_path: Path) -> None:
    write_bundle(tmp_path, SMALL, 2)
    index = tmp_path / INDEX_FILE
    whole = index.read_bytes()
    for length in range(len(whole)):
        index.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=INDEX_FILE):
            read_checkpoint(tmp_path)


def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    write_bundle(tmp_path, SMALL, 2)
    index = tmp_path / INDEX_FILE
    whole = index.read_bytes()
    harmless = 0
    for position in range(len(whole)):
        index.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :]
        )
        try:
            variables = read_checkpoint(tmp_path)
        except WeightsError as error:
            assert str(index) in str(error)
        else:
            harmless += 1
            assert all(np.array_equal(variables[name], SMALL[name]) for name in SMALL)
    # Only the unused meta-index (8 bytes and a trailer of 5), its handle and the footer's padding
    # (together 40 bytes less the index's handle) may change unseen.
    assert 0 < harmless < 13 + 40


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_garbled_blocks_with_good_checksums_are_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """What the checksums cannot catch: bytes that were wrong before they were signed."""
    folder = tmp_path_factory.getbasetemp() / "garbled"
    write_bundle(folder, SMALL)
    entries = [(b"", bundle_header()), (b"a", bundle_entry(1, [2, 3], 0, 24))]
    contents = bytearray(table_block(entries, 16)[:-5])
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(contents) - 1))
        contents[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(contents)))
    signed = sign_block(bytes(contents[:cut] if data.draw(st.booleans()) else contents))
    (folder / INDEX_FILE).write_bytes(table([(b"a", signed)]))
    try:
        read_checkpoint(folder)
    except WeightsError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([(b"a", bundle_entry(1, [2], 0, 8))], "0 data files"),
        ([(b"", bundle_header(shards=2))], "2 data files"),
        ([(b"", bundle_header(endianness=1))], "big-endian"),
        ([(b"", bundle_header()), (b"a", bundle_entry(14, [2], 0, 4))], "data type 14"),
        ([(b"", bundle_header()), (b"a", bundle_entry(1, [2], 0, 4))], "has 4 bytes"),
        ([(b"", bundle_header()), (b"a", bundle_entry(1, [0, 2**62], 0, 0))], "shape"),
        ([(b"", bundle_header()), (b"a", bundle_entry(1, [1] * 70, 0, 4))], "shape"),
        ([(b"", bundle_header()), (b"\xff", bundle_entry(1, [2], 0, 8))], "no text"),
        ([(b"", bundle_header()), (b"a", bundle_entry(1, [2], 0, 8) + b"\x3a\x00")], "slices"),
    ],
)
def test_what_is_not_supported_is_named(
    tmp_path: Path, entries: list[tuple[bytes, bytes]], complaint: str
) -> None:
    write_bundle(tmp_path, SMALL)
    (tmp_path / INDEX_FILE).write_bytes(table([(b"z", table_block(entries, 16))]))
    with pytest.raises(WeightsError, match=complaint):
        read_checkpoint(tmp_path)


def test_a_compressed_block_is_named(tmp_path: Path) -> None:
    write_bundle(tmp_path, SMALL)
    block = sign_block(table_block([(b"", bundle_header())], 16)[:-5], compression=1)
    (tmp_path / INDEX_FILE).write_bytes(table([(b"", block)]))
    with pytest.raises(WeightsError, match=r"compressed \(kind 1\)"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (b"\x02\x01\x00a", "a key shares 2 bytes with one of 0"),
        (b"\x00\x01\x09a123", "9 bytes announced, 3 there"),
        (b"\x00\x09\x00a", "9 bytes announced, 1 there"),
        (b"\x00\x01", "a number runs past the end"),
        (b"\x80" * 10 + b"\x01", "a number is longer than 10 bytes"),
    ],
)
def test_a_garbled_entry_is_named(tmp_path: Path, entry: bytes, complaint: str) -> None:
    write_bundle(tmp_path, SMALL)
    no_restarts = bytes(4)
    (tmp_path / INDEX_FILE).write_bytes(table([(b"a", sign_block(entry + no_restarts))]))
    with pytest.raises(WeightsError, match=complaint):
        read_checkpoint(tmp_path)


def test_no_table_at_all(tmp_path: Path) -> None:
    write_bundle(tmp_path, SMALL)
    (tmp_path / INDEX_FILE).write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(WeightsError, match="magic number"):
        read_checkpoint(tmp_path)
    (tmp_path / INDEX_FILE).unlink()
    with pytest.raises(WeightsError, match=f"cannot read .*{INDEX_FILE}: No such file"):
        read_checkpoint(tmp_path)


def test_a_data_file_cut_short_missing_or_empty_is_named(tmp_path: Path) -> None:
    write_bundle(tmp_path, SMALL)
    path = tmp_path / DATA_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(WeightsError, match=f"{DATA_FILE} is cut short: global_step ends"):
        read_checkpoint(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=f"{DATA_FILE} is empty"):
        read_checkpoint(tmp_path)
    path.unlink()
    with pytest.raises(WeightsError, match=f"cannot read .*{DATA_FILE}: No such file"):
        read_checkpoint(tmp_path)


def test_variables_become_the_stems_arrays(two_stems: MadeUpModel) -> None:
    variables = read_checkpoint(two_stems.checkpoint)
    stems = stems_from_variables(variables, ("vocals", "accompaniment"), "made up")
    assert list(stems) == ["vocals", "accompaniment"]
    for stem, arrays in stems.items():
        check_stem(arrays, stem)
        for name, array in arrays.items():
            expected = two_stems.stems[stem][name]
            assert array.dtype == np.float32
            if name.endswith(("scale", "shift")):  # folded: rounded once more
                np.testing.assert_allclose(array, expected, rtol=3e-7, atol=1e-7)
            else:
                np.testing.assert_array_equal(array, expected)


def test_the_batch_norm_after_conv6_is_not_used(two_stems: MadeUpModel) -> None:
    variables = dict(two_stems.variables)
    for number in (5, 17):
        name = f"batch_normalization_{number}/gamma"
        variables[name] = np.full_like(variables[name], np.nan)
    stems = stems_from_variables(variables, ("vocals", "accompaniment"), "made up")
    assert all(np.isfinite(array).all() for arrays in stems.values() for array in arrays.values())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"conv2d_3/kernel": None}, "made up lacks the variable conv2d_3/kernel"),
        ({"batch_normalization_20/beta": None}, "lacks the variable batch_normalization_20/beta"),
        (
            {"conv2d_transpose_7/bias": np.zeros(3, np.float32)},
            r"conv2d_transpose_7/bias is float32 \(3,\), .* needs float32 \(128,\)",
        ),
        ({"conv2d/bias": np.zeros(16)}, r"conv2d/bias is float64"),
        (
            {"batch_normalization/moving_variance": np.full(16, -1, np.float32)},
            "moving_variance is not 0 or above",
        ),
    ],
)
def test_wrong_variables_are_named(
    two_stems: MadeUpModel, change: dict[str, np.ndarray | None], complaint: str
) -> None:
    variables = {
        name: value for name, value in (two_stems.variables | change).items() if value is not None
    }
    with pytest.raises(WeightsError, match=complaint):
        stems_from_variables(variables, ("vocals", "accompaniment"), "made up")


def test_the_number_of_stems_must_fit(two_stems: MadeUpModel) -> None:
    for stems in (("vocals",), ("vocals", "drums", "bass", "other")):
        with pytest.raises(WeightsError, match=f"holds 2 stems, the model needs {len(stems)}"):
            stems_from_variables(two_stems.variables, stems, "made up")

"""SpleeterRT's files: layout, the order of batch norm's vectors, complaints about bad ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rtsep.errors import WeightsError
from rtsep.weights.spleeter_dat import (
    FILE_BYTES,
    batch_norm_order,
    dat_paths,
    read_dat,
    read_dat_set,
)
from tests.weights.made_up_weights import Arrays, made_up_arrays, write_dat_set

STEMS = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="module")
def vocals() -> Arrays:
    return made_up_arrays(5)


@pytest.mark.parametrize("scale_first", [True, False])
def test_either_order_of_batch_norm_comes_back(
    tmp_path: Path, vocals: Arrays, scale_first: bool
) -> None:
    write_dat_set(tmp_path, {"vocals": vocals}, scale_first, ".dat")
    path = tmp_path / "vocal4stems.dat"
    assert path.stat().st_size == FILE_BYTES == 39_290_900
    arrays = read_dat(path)
    assert list(arrays) != [] and set(arrays) == set(vocals)
    for name, expected in vocals.items():
        np.testing.assert_array_equal(arrays[name], expected, strict=True)


def test_kernels_are_read_in_pytorchs_order(tmp_path: Path) -> None:
    """By position in the file, without the writer: OIHW for conv1, IOHW for up1."""
    flat = np.ones(FILE_BYTES // 4, np.float32)
    conv1_count = 16 * 2 * 5 * 5
    flat[:conv1_count] = np.arange(conv1_count)
    channels = [2, 16, 32, 64, 128, 256, 512]
    # Kernel, bias, scale and shift of conv1 to conv5, kernel and bias of conv6.
    up1 = sum(25 * i * o + 3 * o for i, o in pairwise(channels)) - 2 * 512
    up1_count = 512 * 256 * 5 * 5
    flat[up1 : up1 + up1_count] = np.arange(up1_count)
    # Scales that are scales and shifts that are not: the first vector of each pair positive.
    norm = conv1_count + 16
    for o in channels[1:6]:
        flat[norm + o : norm + 2 * o] = -1
        norm += 2 * o + 25 * o * (2 * o) + 2 * o
    path = tmp_path / "drum4stems"
    flat.tofile(path)
    arrays = read_dat(path)
    random = np.random.default_rng(0)
    for _ in range(50):
        height, width = random.integers(5, size=2)
        into, out = random.integers(2), random.integers(16)
        value = arrays["conv1/kernel"][height, width, into, out]
        assert value == ((out * 2 + into) * 5 + height) * 5 + width
        into, out = random.integers(512), random.integers(256)
        value = arrays["up1/kernel"][height, width, out, into]
        assert value == ((into * 256 + out) * 5 + height) * 5 + width


def test_a_set_is_read_in_the_models_order(tmp_path: Path) -> None:
    stems = {stem: made_up_arrays(seed) for seed, stem in enumerate(STEMS)}
    write_dat_set(tmp_path, stems, True, "")
    for file in ("vocal4stems", "drum4stems", "bass4stems", "accompaniment4stems"):
        assert (tmp_path / file).is_file()
    read = read_dat_set(tmp_path, STEMS)
    assert tuple(read) == STEMS
    for stem in STEMS:
        np.testing.assert_array_equal(read[stem]["up3/kernel"], stems[stem]["up3/kernel"])
        np.testing.assert_array_equal(read[stem]["conv2/shift"], stems[stem]["conv2/shift"])


def pairs(first_positive: float, second_positive: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """One layer of 1000 channels with these shares of positive numbers."""
    channel = np.arange(1000)
    first = np.where(channel < 1000 * first_positive, 1.0, -1.0)
    second = np.where(channel < 1000 * second_positive, 1.0, -1.0)
    return [(first, second)]


def test_the_order_allows_for_a_few_negative_scales() -> None:
    assert batch_norm_order(pairs(0.97, 0.3), Path("x")) == 0
    assert batch_norm_order(pairs(0.6, 1.0), Path("x")) == 1


@pytest.mark.parametrize("shares", [(1.0, 1.0), (0.5, 0.5), (0.0, 0.0)])
def test_an_order_that_cannot_be_told_is_an_error(shares: tuple[float, float]) -> None:
    with pytest.raises(WeightsError, match=r"x\.dat: cannot tell batch norm's scales"):
        batch_norm_order(pairs(*shares), Path("x.dat"))


def test_layers_are_judged_together() -> None:
    """The last layer has one channel, whose shift may well be positive."""
    norms = [*pairs(1.0, 0.2), (np.ones(1), np.ones(1))]
    assert batch_norm_order(norms, Path("x")) == 0


def test_a_file_of_the_wrong_size_or_values_is_named(tmp_path: Path, vocals: Arrays) -> None:
    write_dat_set(tmp_path, {"vocals": vocals}, True, ".dat")
    path = tmp_path / "vocal4stems.dat"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(WeightsError, match=r"vocal4stems\.dat has 39290896 bytes"):
        read_dat(path)
    path.write_bytes(whole[:-4] + b"\x00\x00\xc0\x7f")  # a NaN
    with pytest.raises(WeightsError, match="NaN or infinite"):
        read_dat(path)
    path.unlink()
    with pytest.raises(WeightsError, match=r"cannot read .*vocal4stems\.dat"):
        read_dat(path)


def test_a_missing_file_or_another_model_is_named(tmp_path: Path, vocals: Arrays) -> None:
    write_dat_set(tmp_path, {"vocals": vocals, "bass": vocals}, True, ".dat")
    assert set(dat_paths(tmp_path)) == {"vocals", "bass"}
    with pytest.raises(WeightsError, match=r"lacks drum4stems\.dat"):
        read_dat_set(tmp_path, STEMS)
    with pytest.raises(WeightsError, match="import them as spleeter:4stems"):
        read_dat_set(tmp_path, ("vocals", "accompaniment"))

"""rtsep's own file: what is written comes back by memory map, and nothing bad is ever used."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rtsep.errors import WeightsError
from rtsep.weights.checksum import sha256_of
from rtsep.weights.store import (
    Provenance,
    read_provenance,
    read_weights,
    sidecar_of,
    write_weights,
)
from tests.weights.made_up_weights import Arrays, made_up_arrays

MODEL = "spleeter:2stems"
FROM = Provenance(MODEL, "vocals", "made up", "0" * 64, "MIT", "nobody")


@pytest.fixture(scope="module")
def vocals() -> Arrays:
    return made_up_arrays(7)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, vocals: Arrays) -> Path:
    path = tmp_path_factory.mktemp("store") / "one.safetensors"
    write_weights(path, {"vocals": vocals}, FROM)
    return path


@pytest.fixture
def stored(tmp_path: Path, written: Path) -> Path:
    """A copy of the written file, to be spoilt."""
    for path in (written, sidecar_of(written)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / written.name


def sign(path: Path) -> None:
    """Make the sidecar fit whatever `path` holds now."""
    sidecar_of(path).write_text(f"{sha256_of(path)}  {path.name}\n")


def test_arrays_come_back_from_the_map(written: Path, vocals: Arrays) -> None:
    provenance, stems = read_weights(written, MODEL)
    assert provenance == FROM
    assert list(stems) == ["vocals"]
    assert list(stems["vocals"]) == list(vocals)
    for name, expected in vocals.items():
        array = stems["vocals"][name]
        np.testing.assert_array_equal(array, expected, strict=True)
        assert not array.flags.writeable and not array.flags.owndata
        assert array.ctypes.data % 4 == 0
    assert stems["vocals"]["conv1/kernel"].ctypes.data % 64 == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="Linux lists what is mapped")
def test_arrays_are_in_memory_only_while_they_are_used(written: Path) -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(str(written))

    _, stems = read_weights(written, MODEL)
    assert mapped() == 0
    array = stems["vocals"]["up1/kernel"]
    assert mapped() == 1
    # What was checked is what is read, whatever is put in its place meanwhile.
    expected = array.copy()
    del array
    assert mapped() == 0
    written.rename(written.with_suffix(".aside"))
    try:
        np.testing.assert_array_equal(stems["vocals"]["up1/kernel"], expected)
    finally:
        written.with_suffix(".aside").rename(written)


def test_others_can_read_the_file(written: Path, vocals: Arrays) -> None:
    arrays = load_file(written)
    assert set(arrays) == {f"vocals/{name}" for name in vocals}
    np.testing.assert_array_equal(arrays["vocals/up2/kernel"], vocals["up2/kernel"])


def test_the_sidecar_is_what_sha256sum_writes(written: Path) -> None:
    assert sidecar_of(written).read_text() == f"{sha256_of(written)}  one.safetensors\n"


def test_the_same_weights_give_the_same_bytes(
    tmp_path: Path, written: Path, vocals: Arrays
) -> None:
    again = tmp_path / "one.safetensors"
    write_weights(again, {"vocals": vocals}, FROM)
    assert sidecar_of(again).read_text() == sidecar_of(written).read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [again.name, sidecar_of(again).name]


def test_any_changed_byte_is_found(stored: Path) -> None:
    with stored.open("r+b") as file:
        file.seek(-1000, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1000, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(WeightsError, match=f"one.safetensors is damaged.*fetch {MODEL} --force"):
        read_weights(stored, MODEL)


def test_a_file_cut_short_is_found(stored: Path) -> None:
    os.truncate(stored, stored.stat().st_size - 4)
    with pytest.raises(WeightsError, match="is damaged"):
        read_weights(stored, MODEL)
    # And where the sidecar is made to fit, by the format's own rules.
    sign(stored)
    with pytest.raises(WeightsError, match="no readable safetensors file"):
        read_weights(stored, MODEL)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 64, b"\x02" + bytes(7) + b"{}"])
def test_garbage_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "one.safetensors"
    path.write_bytes(content)
    sign(path)
    with pytest.raises(WeightsError, match=r"one\.safetensors") as caught:
        read_weights(path, MODEL)
    assert "\n" not in str(caught.value)


def test_a_missing_or_garbled_sidecar_is_named(stored: Path) -> None:
    sidecar_of(stored).write_text("not a hash\n")
    with pytest.raises(WeightsError, match=r"one\.safetensors\.sha256 holds no SHA-256"):
        read_weights(stored, MODEL)
    sidecar_of(stored).unlink()
    with pytest.raises(WeightsError, match=r"cannot read .*one\.safetensors\.sha256"):
        read_weights(stored, MODEL)


def metadata(**changes: str) -> dict[str, str]:
    return dict(vars(FROM)) | changes


def half(arrays: Arrays) -> None:
    arrays["vocals/up1/bias"] = arrays["vocals/up1/bias"].astype(np.float16)


def stranger(arrays: Arrays) -> None:
    arrays["drums/up1/bias"] = np.zeros(256, np.float32)


def reshaped(arrays: Arrays) -> None:
    arrays["vocals/up1/bias"] = arrays["vocals/up1/bias"].reshape(16, 16)


def lacking(arrays: Arrays) -> None:
    del arrays["vocals/conv4/scale"]


def not_a_number(arrays: Arrays) -> None:
    arrays["vocals/conv4/scale"] = np.full(128, np.inf, np.float32)


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (half, "up1/bias is F16"),
        (stranger, "unknown array drums/up1/bias"),
        (reshaped, r"up1/bias has shape \(16, 16\)"),
        (lacking, "lack the array conv4/scale"),
        (not_a_number, "conv4/scale holds NaN or infinite"),
    ],
)
def test_wrong_arrays_with_a_good_hash_are_named(
    tmp_path: Path, vocals: Arrays, spoil: Callable[[Arrays], None], complaint: str
) -> None:
    arrays = {f"vocals/{name}": array for name, array in vocals.items()}
    spoil(arrays)
    path = tmp_path / "one.safetensors"
    save_file(arrays, path, metadata())
    sign(path)
    with pytest.raises(WeightsError, match=complaint):
        read_weights(path, MODEL)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (metadata(model="spleeter:4stems"), "of spleeter:4stems, not of spleeter:2stems"),
        (metadata(format_version="99"), "has format version 99"),
        ({"format": "pt"}, "not written by rtsep: its header lacks model"),
    ],
)
def test_another_model_format_or_writer_is_named(
    tmp_path: Path, header: dict[str, str], complaint: str
) -> None:
    path = tmp_path / "one.safetensors"
    save_file({"vocals/x": np.zeros(1, np.float32)}, path, header)
    sign(path)
    with pytest.raises(WeightsError, match=complaint):
        read_weights(path, MODEL)


def spoilt_header(path: Path, change: Callable[[dict], None]) -> None:
    """Write the header of `path` anew after `change`, as long as it was, and the right hash."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    change(header)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    assert len(encoded) <= end - 8
    path.write_bytes(content[:8] + encoded.ljust(end - 8) + content[end:])
    sign(path)


def moved(header: dict) -> None:
    begin, end = header["vocals/up1/bias"]["data_offsets"]
    header["vocals/up1/bias"]["data_offsets"] = [begin - 4, end - 4]


def twice(header: dict) -> None:
    header["vocals/up1/bias"]["data_offsets"] = header["vocals/up2/bias"]["data_offsets"]


def beyond(header: dict) -> None:
    last = max(header, key=lambda name: header[name].get("data_offsets", [0])[0])
    header[last]["data_offsets"][1] += 4
    header[last]["shape"] = [header[last]["shape"][0] + 1, *header[last]["shape"][1:]]


def negative(header: dict) -> None:
    header["vocals/up1/bias"]["shape"] = [-256]


def untold(header: dict) -> None:
    header["vocals/up1/bias"] = 7


@pytest.mark.parametrize("change", [moved, twice, beyond, negative, untold])
def test_a_header_that_does_not_fit_the_arrays_is_refused(
    stored: Path, change: Callable[[dict], None]
) -> None:
    spoilt_header(stored, change)
    with pytest.raises(WeightsError, match=r"one\.safetensors is no readable safetensors file"):
        read_weights(stored, MODEL)


def test_the_header_says_where_it_comes_from(written: Path) -> None:
    assert read_provenance(written) == FROM
    with written.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    # Of one of rtsep's models it says nothing of the nets.
    assert header["__metadata__"] == {
        name: text for name, text in metadata().items() if name != "network"
    }


def test_bad_arrays_are_never_written(tmp_path: Path, vocals: Arrays) -> None:
    path = tmp_path / "one.safetensors"
    for spoilt in (
        {name: array for name, array in vocals.items() if name != "mask/bias"},
        vocals | {"mask/bias": np.array([0, np.nan], np.float32)},
    ):
        with pytest.raises(WeightsError, match="mask/bias"):
            write_weights(path, {"vocals": spoilt}, FROM)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(
    stored: Path, vocals: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sha256_of(stored)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsError, match=r"cannot write .*one\.safetensors: No space left"):
        write_weights(stored, {"vocals": vocals}, replace(FROM, source="another"))
    assert sha256_of(stored) == before
    assert sorted(path.name for path in stored.parent.iterdir()) == [
        stored.name,
        sidecar_of(stored).name,
    ]

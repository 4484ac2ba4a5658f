"""Packed nets in one file that all processes map."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from rtsep.nets.registry import find_model
from rtsep.weights import shared_nets as shared
from rtsep.weights.load_nets import load_nets
from rtsep.weights.shared_nets import shared_nets, write_nets

CONFIG = find_model("spleeter:2stems")


@pytest.fixture
def cache(tmp_path, monkeypatch, made_up_weights):
    """An empty folder for packed nets."""
    monkeypatch.setattr(shared, "CACHE_FOLDER", tmp_path / "cache")
    return tmp_path / "cache"


def arrays_in(tree: Any) -> list[np.ndarray]:
    """Every array of a tree of tuples."""
    if isinstance(tree, np.ndarray):
        return [tree]
    return [array for part in tree for array in arrays_in(part)] if isinstance(tree, tuple) else []


@pytest.mark.parametrize("precision", ["f32", "weights16"])
def test_mapped_nets_are_those_that_were_packed(cache, precision):
    packed = load_nets(CONFIG, precision=precision)
    for _ in range(2):  # made, then found
        found = shared_nets(CONFIG, precision=precision)
        assert found.why_not is None
        for net, own in zip(found.nets, packed, strict=True):
            assert (net.config, net.precision) == (own.config, own.precision)
            arrays = arrays_in(net.constants)
            assert len(arrays) == len(arrays_in(own.constants)) == 26
            for array, other in zip(arrays, arrays_in(own.constants), strict=True):
                assert np.array_equal(array, other) and array.dtype == other.dtype
                # What kernels are compiled for.
                assert array.flags.writeable and array.flags.c_contiguous
                assert array.ctypes.data % 64 == 0
    assert len(list(cache.glob("nets-*.packed"))) == 1


def test_writing_to_mapped_nets_changes_no_others(cache):
    first, second = shared_nets(CONFIG).nets[0], shared_nets(CONFIG).nets[0]
    weights, others = first.constants.layers[0].weights, second.constants.layers[0].weights
    before = others.copy()
    weights[:] = 7.0
    assert np.array_equal(others, before)
    assert np.array_equal(shared_nets(CONFIG).nets[0].constants.layers[0].weights, before)


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_file_is_made_anew(cache, damage):
    shared_nets(CONFIG)
    (path,) = cache.glob("nets-*.packed")
    whole = path.read_bytes()
    spoilt = {"cut": whole[:-9], "bit": whole[:-99] + b"x" + whole[-98:], "empty": b""}[damage]
    path.write_bytes(spoilt)
    assert shared_nets(CONFIG).why_not is None
    assert path.read_bytes() == whole


def test_other_weights_and_precisions_have_files_of_their_own(cache, made_up_weights, tmp_path):
    shared_nets(CONFIG)
    shared_nets(CONFIG, precision="weights16")
    shared_nets(find_model("spleeter:4stems"))
    assert len(list(cache.glob("nets-*.packed"))) == 3


class Tree(NamedTuple):
    """Constants of a net of another kind."""

    arrays: tuple[np.ndarray, ...]
    scale: float


class OtherNet:
    """A net of another kind."""

    def __init__(self, constants: Any) -> None:
        self.constants = constants


def test_nets_of_any_kind_are_written(tmp_path):
    arrays = tuple(np.arange(n, dtype=kind) for n in (0, 1, 1000) for kind in ("f4", "u4", "i8"))
    write_nets(tmp_path / "nets", [OtherNet(Tree(arrays, 0.5))])
    (net,) = shared._mapped(tmp_path / "nets")
    assert net.constants.scale == 0.5
    for found, array in zip(net.constants.arrays, arrays, strict=True):
        assert np.array_equal(found, array) and found.dtype == array.dtype


def test_nets_that_cannot_be_written_are_packed_by_each_process(cache, monkeypatch):
    monkeypatch.setattr(shared, "load_nets", lambda *_, **__: [OtherNet(threading.Lock())])
    found = shared_nets(CONFIG)
    assert "these nets cannot be written to a file" in str(found.why_not)
    assert len(found.nets) == 1
    monkeypatch.setattr(shared, "CACHE_FOLDER", None)
    assert "home" in str(shared_nets(CONFIG).why_not)


def test_a_cache_that_cannot_be_written_is_told(cache):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("no folder")
    why = str(shared_nets(CONFIG).why_not)
    assert f"cannot write {cache}" in why and "set RTSEP_KERNEL_CACHE" in why


HOLD = """
import sys
from pathlib import Path
from rtsep.weights import shared_nets as shared
shared.CACHE_FOLDER = Path(sys.argv[1])
from rtsep.nets.registry import find_model
nets = shared.shared_nets(find_model("spleeter:2stems")).nets
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says what is shared")
def test_processes_hold_them_once(cache):
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for holder in holders:
            assert holder.stdout is not None and holder.stdout.readline() == "ready\n"
        (path,) = cache.glob("nets-*.packed")
        for holder in holders:
            blocks = Path(f"/proc/{holder.pid}/smaps").read_text().split(os.fspath(path))[1:]
            figures = [
                {
                    line.split(":")[0]: int(line.split()[1])
                    for line in block.splitlines()[1:25]
                    if line.endswith(" kB")
                }
                for block in blocks
            ]
            assert sum(f["Rss"] for f in figures) > 0.9 * path.stat().st_size / 1024
            assert sum(f["Private_Dirty"] for f in figures) == 0
            assert sum(f["Pss"] for f in figures) < 0.6 * path.stat().st_size / 1024
    finally:
        for holder in holders:
            holder.communicate()

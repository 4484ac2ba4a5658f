"""The constants of a player's transformer, packed: everything of one stem in one array.

So the compiled code is the same for any number of layers, and what is used next can be asked for ahead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.player_transformer_arrays import CROSS, FRAMES_MAX, BranchShape
from rtsep.nets.player_transformer_forward import Branch
from rtsep_kernels.blocking import PACK_SLACK
from rtsep_kernels.dense import dense_size, pack_dense
from rtsep_kernels.pack import aligned_zeros

Arrays = Mapping[str, NDArray[np.float32]]

# Every layer begins at a whole vector, with every kernel set.
LANES_MAX = 16
# Wavelengths of the positions: from 2 pi frames to this many times as much.
POSITIONS_BASE = 10_000


def positions(channels: int) -> NDArray[np.float32]:
    """What is added to the tokens of a window, (FRAMES_MAX, channels): sines, then cosines."""
    half = channels // 2
    turns = np.arange(FRAMES_MAX)[:, np.newaxis] * POSITIONS_BASE ** (-np.arange(half) / half)
    return np.concatenate([np.sin(turns), np.cos(turns)], 1).astype(np.float32)


class _Arena:
    """Values that are put one behind the other into one array, in the order in which they are used.

    What is used next is asked for ahead, so it has to stand behind. All is laid out twice: `values` is
    None while it is only counted, so that no weight is held more than once beside the array.
    """

    def __init__(self, values: NDArray[np.float32] | None):
        self.values, self.held = values, 0

    def _take(self, size: int) -> tuple[int, NDArray[np.float32] | None]:
        """Where the next `size` values go, from the next whole vector on."""
        at = self.held
        self.held += -(-size // LANES_MAX) * LANES_MAX
        return at, None if self.values is None else self.values[at : at + size]

    def put(self, *parts: NDArray[np.float32]) -> int:
        """Put arrays one behind the other; returns where."""
        at, room = self._take(sum(part.size for part in parts))
        if room is not None:
            np.concatenate([part.reshape(-1) for part in parts], out=room)
        return at

    def dense(self, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> int:
        """Put a dense layer; returns where."""
        inputs, outputs = kernel.shape
        at, room = self._take(dense_size(inputs, outputs))
        if room is not None:
            pack_dense(kernel, bias, room)
        return at


def _lay_out(arena: _Arena, arrays: Arrays, shape: BranchShape, heads: int, cross: int) -> Branch:
    """Put everything of one stem's transformer into the arena. cross: which block is that one."""
    stem, channels = shape.stem, shape.channels

    def norm(name: str) -> int:
        return arena.put(arrays[f"{name}/scale"], arrays[f"{name}/shift"])

    def dense(name: str, first: int = 0, stop: int | None = None) -> int:
        kernel, bias = arrays[f"{name}/kernel"], arrays[f"{name}/bias"]
        return arena.dense(kernel[:, first:stop], bias[first:stop])

    def block(name: str) -> list[int]:
        own = norm(f"{name}/attend/norm")
        is_cross = name == f"{stem}/{CROSS}"
        return [
            own,
            norm(f"{name}/attend/other") if is_cross else own,
            dense(f"{name}/attend/qkv", 0, channels),
            dense(f"{name}/attend/qkv", channels),
            dense(f"{name}/attend/out"),
            norm(f"{name}/feed/norm"),
            dense(f"{name}/feed/up"),
            dense(f"{name}/feed/down"),
        ]

    embed = arrays[f"{stem}/embed/kernel"].reshape(-1, channels)
    embed_at = arena.dense(embed, arrays[f"{stem}/embed/bias"])
    start_at, positions_at = norm(f"{stem}/start"), arena.put(positions(channels))
    blocks = np.array([block(name) for name in shape.blocks(cross)], np.int64)
    end_at = norm(f"{stem}/end")
    # (F, 2) to the masks' order, (2, F).
    unembed = arrays[f"{stem}/unembed/kernel"][0].transpose(2, 1, 0).reshape(channels, -1)
    unembed_at = arena.dense(unembed, arrays[f"{stem}/unembed/bias"].T.reshape(-1))
    return Branch(
        np.zeros(0, np.float32) if arena.values is None else arena.values,
        blocks,
        channels,
        heads,
        shape.widening * channels,
        2 * shape.bins,
        embed_at,
        start_at,
        positions_at,
        end_at,
        unembed_at,
    )


def pack_branch(arrays: Arrays, shape: BranchShape, heads: int, cross: int) -> Branch:
    """The constants of one stem's transformer."""
    counted = _Arena(None)
    _lay_out(counted, arrays, shape, heads, cross)
    return _lay_out(_Arena(aligned_zeros(counted.held + PACK_SLACK)), arrays, shape, heads, cross)

"""Where a D3Net's images lie in one flat buffer, and its steps as tables for the compiled call.

All images of a branch and level share frames [frame][channel][bin]: an image is a range of channels. It
takes the first channels that nothing occupies which is still needed, so that a dense block's images lie
side by side and the decoder's take the room of those that nobody reads any more. Zeros stand between the
rows, as many as the largest dilation there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtsep.nets.d3net_steps import (
    CONV,
    KINDS,
    TAPS,
    UP,
    D3NetStructure,
    Tensor,
    steps_of,
)
from rtsep_kernels.blocking import RUN_FIELDS
from rtsep_kernels.planes import SOURCE_FIELDS
from rtsep_kernels.records import Ints

# Rows begin on whole cache lines, but never a page apart: neighbours would crowd the same places of the
# first-level cache.
_LINE = 16
_PAGE = 1024


class Layout(NamedTuple):
    """The tables of one structure at one size of window.

    Attributes
    ----------
    operations : (operations, 13) int64
        Kind (index in KINDS), first and stop in `sources`, weights_at, shifts_at, steps, channels,
        origin, frame_stride, channel_stride, rows, width (see PlanesLayer), first bin of what comes in.
    sources : (sources, SOURCE_FIELDS) int64
        Of all operations, one after the other.
    size : int
        float32 of the buffer.
    scratch_size, runs_size : int
        Of what planes_up and planes_conv need besides.
    """

    operations: Ints
    sources: Ints
    size: int
    scratch_size: int
    runs_size: int


class _Room:
    """The images of one branch and level: which channels they take, and then where they lie."""

    def __init__(self, rows: int, width: int):
        self.rows, self.width = rows, width
        self._taken: dict[Tensor, tuple[int, int, int]] = {}
        self._channels, self._zeros = 0, _LINE
        self.origin = self.frame_stride = self.channel_stride = 0

    def take(self, tensor: Tensor, now: int, last_use: int) -> None:
        """Give a tensor the first channels that are free at step `now`, until `last_use`."""
        if tensor in self._taken:
            return
        first = 0
        for start, stop, until in sorted(self._taken.values()):
            if until >= now and start < first + tensor.channels and stop > first:
                first = stop
        self._taken[tensor] = first, first + tensor.channels, last_use
        self._channels = max(self._channels, first + tensor.channels)

    def need_zeros(self, dilation: int) -> None:
        """Ask for so many zeros between rows, unless taps that far off see zeros only."""
        if dilation < self.width:
            self._zeros = max(self._zeros, dilation + -dilation % _LINE)

    def place(self, at: int) -> int:
        """Lay the images from element `at` of the buffer on; returns where they end."""
        stride = self.width + -self.width % _LINE + self._zeros
        self.channel_stride = stride + (_LINE if stride % _PAGE == 0 else 0)
        self.frame_stride = self._channels * self.channel_stride
        self.origin = at + self._zeros
        return self.origin + self.rows * self.frame_stride

    def image(self, tensor: Tensor) -> tuple[int, int, int]:
        """Origin, frame_stride and channel_stride of a tensor."""
        first = self._taken[tensor][0]
        return (
            self.origin + first * self.channel_stride,
            self.frame_stride,
            self.channel_stride,
        )


def lay_out(structure: D3NetStructure, frames: int, bins: int) -> Layout:
    """The layout of a window of T frames by F bins.

    Raises
    ------
    ValueError
        Where the structure does not take such windows.
    """
    steps = steps_of(structure)
    _check(structure, frames, bins)
    last_use = {tensor: n for n, step in enumerate(steps) for tensor, _ in step.sources}
    rooms: dict[tuple[str, int], _Room] = {}
    for now, step in enumerate(steps):
        target, level = step.target, step.target.level
        width = structure.bins(target.branch, bins) >> level
        room = rooms.setdefault((target.branch, level), _Room(frames >> level, width))
        room.take(target, now, last_use.get(target, now))
        if step.kind == CONV:
            for _, dilation in step.sources:
                room.need_zeros(dilation)
    size = 0
    for room in rooms.values():
        size = room.place(size)
    # Zeros behind the last row, of which the widest vectors and what is asked for may read more.
    size += max(room.channel_stride for room in rooms.values())

    operations: list[tuple[int, ...]] = []
    sources: list[tuple[int, ...]] = []
    places = constant_places(structure)
    for step in steps:
        target = step.target
        first = len(sources)
        for tensor, dilation in step.sources:
            image = rooms[tensor.branch, tensor.level].image(tensor)
            taps = TAPS[CONV] if step.kind == CONV else 1
            sources.append((*image, tensor.channels, dilation, taps))
        room = rooms[target.branch, target.level]
        origin, *strides = room.image(target)
        # The bands join: each gives its bins of the target.
        branch = step.sources[0][0].branch if step.sources else target.branch
        first_bin = structure.first_bin(branch)
        joins = branch != target.branch
        width = structure.bins(branch, bins) if joins else room.width
        origin += first_bin if joins else 0
        taps = TAPS[CONV] ** 2 if step.kind == CONV else 1
        operations.append(
            (
                KINDS.index(step.kind),
                first,
                len(sources),
                *places.get(step.name, (0, 0)),
                step.channels_in * taps,
                target.channels,
                origin,
                *strides,
                room.rows,
                width,
                first_bin,
            )
        )
    return Layout(
        np.array(operations, np.int64),
        np.array(sources, np.int64).reshape(-1, SOURCE_FIELDS),
        size,
        max((step.target.channels for step in steps if step.kind == UP), default=0) * bins,
        max(len(step.sources) for step in steps) * TAPS[CONV] ** 2 * RUN_FIELDS,
    )


def constant_places(structure: D3NetStructure) -> dict[str, tuple[int, int]]:
    """Where each step's weights and shifts begin in a net's packed arrays."""
    places: dict[str, tuple[int, int]] = {}
    weights_at = shifts_at = 0
    for step in steps_of(structure):
        if step.kind not in TAPS:
            continue
        places[step.name] = weights_at, shifts_at
        weights_at += int(np.prod(step.shapes[f"{step.name}/kernel"]))
        shifts_at += step.target.channels
    return places


def _check(structure: D3NetStructure, frames: int, bins: int) -> None:
    grid = structure.grid
    for name, count in (("frames", frames), ("bins", bins)):
        if count < grid or count % grid:
            raise ValueError(f"{name} must be a positive multiple of {grid}: got {name}={count}")
    if bins < structure.least_bins:
        raise ValueError(f"bins must be at least {structure.least_bins}: got bins={bins}")

"""D3Net as data: its structure, the steps it takes, and the arrays that follow from them.

After Takahashi and Mitsufuji, "D3Net: Densely connected multidilated DenseNet for music source
separation" (2021). Theirs are

- the multidilated convolution: layer l of a D2 block sees the block's input under 3x3 taps of dilation
  1 and the output of each layer i before it under taps of dilation 2^i, all channels added up;
- the D3 block: D2 blocks, each of which sees the D3 block's input and what the D2 blocks before it gave;
- D3 blocks on several scales: halved by average pooling on the way down, transposed convolutions on the
  way up, skips between;
- three branches, one for the low bins, one for the high ones and one for all; their outputs together go
  through a last D2 block;
- how wide and deep all that is, PUBLISHED for each source.

Ours are, where the publication says nothing, or for masks between 0 and 1 in real time:

- a D2 block gives the channels of its last layer, and a D3 block those of its D2 blocks;
- batch norm and ReLU stand ahead of each convolution as published, but a channel has one batch norm for
  all convolutions that see it, so that it is normalised once, as it is written;
- pooling comes ahead of the 1x1 convolution of a way down: both are linear, the result is the same;
- the ways down and up keep the number of channels; the transposed convolutions are 2x2 of stride 2;
- a 1x1 convolution brings each band to the channels of the low one's first layer, so that the bands
  join;
- the high branch ends where the net's bins end, at 11 kHz and not at 17;
- the last step is a 1x1 convolution to one channel for left and one for right and a sigmoid.

The arrays, all float32, HWIO as TensorFlow has it, batch norm folded to `scale` and `shift`:

    <step>/kernel (3, 3, in, out)   conv: in are the sources' channels, one source after the other
                  (1, 1, in, out)   point
                  (2, 2, out, in)   up, HWOI
    <step>/bias /scale /shift (out,)    the last two of the batch norm behind it
    mask/kernel (1, 1, in, 2) /bias (2,)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rtsep.nets.structure import Structure

LOW, HIGH, FULL = "low", "high", "full"
# What a step does; see Step.
INPUT, CONV, POINT, POOL, UP, MASK = KINDS = "input", "conv", "point", "pool", "up", "mask"
TAPS = {CONV: 3, POINT: 1, UP: 2, MASK: 1}
# Channels of the sound, and of a mask.
SIDES = 2
CHANNELS_MAX = 256
# The kernels take no rows of fewer bins, the widest vector.
WIDTH_MIN = 16
LAYERS_MAX = 10


@dataclass(frozen=True)
class D3NetStructure(Structure):
    """How wide and deep a D3Net is; the default is the published one for vocals.

    Attributes
    ----------
    low_bins : int
        Where the low branch ends and the high one begins.
    low_features, high_features, full_features : int
        Channels of each branch's first convolution.
    low_growth, high_growth, full_growth : tuple of int
        Channels of a layer, for each D3 block: those on the way down, the lowest, those on the way up.
    low_layers, high_layers, full_layers : tuple of int
        Layers of a D2 block, for each D3 block.
    low_blocks, high_blocks, full_blocks : int
        D2 blocks of a D3 block.
    final_growth, final_layers : int
        Of the last D2 block.

    Raises
    ------
    ValueError
        Where the numbers do not fit together.
    """

    low_bins: int = 256
    low_features: int = 32
    low_growth: tuple[int, ...] = (16, 18, 20, 22, 20, 18, 16)
    low_layers: tuple[int, ...] = (5, 5, 5, 5, 4, 4, 4)
    low_blocks: int = 2
    high_features: int = 8
    high_growth: tuple[int, ...] = (2, 2, 2, 2, 2)
    high_layers: tuple[int, ...] = (1, 1, 1, 1, 1)
    high_blocks: int = 1
    full_features: int = 32
    full_growth: tuple[int, ...] = (13, 14, 15, 16, 17, 16, 14, 12, 11)
    full_layers: tuple[int, ...] = (4, 5, 6, 7, 8, 6, 5, 4, 4)
    full_blocks: int = 2
    final_growth: int = 12
    final_layers: int = 3

    def __post_init__(self) -> None:
        for branch in self.branches:
            if not len(branch.growth) % 2 or len(branch.layers) != len(branch.growth):
                raise ValueError(
                    "a branch of a D3Net has an odd number of D3 blocks and as many numbers of layers:"
                    f" got {len(branch.growth)} and {len(branch.layers)}"
                )
            for channels in (branch.features, *branch.growth, self.final_growth):
                if not 0 < channels <= CHANNELS_MAX:
                    raise ValueError(f"channels must be 1 to {CHANNELS_MAX}: got {channels}")
            for layers in (branch.blocks, *branch.layers, self.final_layers):
                if not 0 < layers <= LAYERS_MAX:
                    raise ValueError(f"layers and blocks must be 1 to {LAYERS_MAX}: got {layers}")
        for branch in (self.branches[0], self.branches[1]):
            if self.low_bins < 1 or self.low_bins % 2**branch.downs:
                raise ValueError(
                    f"low_bins must be a multiple of {2**branch.downs}: got {self.low_bins}"
                )
        if self.low_bins < WIDTH_MIN << self.branches[0].downs:
            raise ValueError(
                f"low_bins must be at least {WIDTH_MIN << self.branches[0].downs}: got {self.low_bins}"
            )

    @property
    def branches(self) -> tuple[Branch, Branch, Branch]:
        """The low, the high and the full one."""
        return (
            Branch(LOW, self.low_features, self.low_growth, self.low_layers, self.low_blocks),
            Branch(HIGH, self.high_features, self.high_growth, self.high_layers, self.high_blocks),
            Branch(FULL, self.full_features, self.full_growth, self.full_layers, self.full_blocks),
        )

    @property
    def grid(self) -> int:
        """Frames come in multiples of it, and bins."""
        return max(2**branch.downs for branch in self.branches)

    @property
    def least_bins(self) -> int:
        """Bins that are enough for every branch, at its lowest level."""
        _, high, full = self.branches
        return max(WIDTH_MIN << full.downs, self.low_bins + (WIDTH_MIN << high.downs))

    def first_bin(self, branch: str) -> int:
        """The lowest bin that a branch sees."""
        return self.low_bins if branch == HIGH else 0

    def bins(self, branch: str, bins: int) -> int:
        """How many bins a branch sees of `bins`."""
        return {LOW: self.low_bins, HIGH: bins - self.low_bins, FULL: bins}[branch]


class Branch(NamedTuple):
    """One branch: see D3NetStructure."""

    name: str
    features: int
    growth: tuple[int, ...]
    layers: tuple[int, ...]
    blocks: int

    @property
    def downs(self) -> int:
        """How often frames and bins are halved."""
        return len(self.growth) // 2


# The configurations that were published, by the stem that they are for; `other` has that of vocals.
PUBLISHED = {
    "vocals": D3NetStructure(),
    "other": D3NetStructure(),
    "drums": D3NetStructure(low_bins=128, low_layers=(5, 5, 5, 4, 4, 4, 4)),
    "bass": D3NetStructure(
        low_bins=192,
        low_growth=(16, 18, 18, 20, 18, 16, 16),
        high_growth=(2,) * 7,
        high_layers=(1,) * 7,
        full_growth=(10, 10, 12, 14, 16, 14, 12, 8, 8),
        full_layers=(4, 5, 6, 7, 8, 6, 6, 4, 4),
    ),
}


@dataclass(frozen=True)
class Tensor:
    """An image between two steps: so many channels of a branch, frames and bins halved `level` times."""

    name: str
    branch: str
    level: int
    channels: int


@dataclass(frozen=True)
class Step:
    """One step of the net.

    Attributes
    ----------
    name : str
        Of its arrays.
    kind : str
        INPUT: the magnitudes of the branch's bins. CONV: 3x3, each source with its dilation. POINT: 1x1.
        POOL: the mean of 2x2. UP: 2x2 of stride 2, transposed. MASK: 1x1, with a bias and a sigmoid.
        Batch norm and ReLU follow CONV, POINT and UP.
    sources : tuple of (Tensor, int)
        What it sees, and under which dilation.
    target : Tensor
        What it gives. The bands' last steps give a part of its bins each.
    """

    name: str
    kind: str
    sources: tuple[tuple[Tensor, int], ...]
    target: Tensor

    @property
    def channels_in(self) -> int:
        """Channels of all sources."""
        return sum(tensor.channels for tensor, _ in self.sources)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of its arrays."""
        if self.kind not in TAPS:
            return {}
        taps, out = (TAPS[self.kind],) * 2, self.target.channels
        ends = (out, self.channels_in) if self.kind == UP else (self.channels_in, out)
        parts = ("bias",) if self.kind == MASK else ("bias", "scale", "shift")
        kernel: dict[str, tuple[int, ...]] = {f"{self.name}/kernel": (*taps, *ends)}
        return kernel | {f"{self.name}/{part}": (out,) for part in parts}


def steps_of(structure: D3NetStructure) -> tuple[Step, ...]:
    """The net's steps in order: the full branch, the bands, the last block, the mask."""
    low, high, full = structure.branches
    steps: list[Step] = []
    full_out = _branch_steps(full, steps)
    joined = Tensor("bands", FULL, 0, low.features)
    for branch in (low, high):
        band_out = _branch_steps(branch, steps)
        steps.append(Step(f"{branch.name}-out", POINT, _plain(band_out), joined))
    inputs = [joined, *full_out]
    final = _d2_block("final", inputs, structure.final_growth, structure.final_layers, steps)
    logits = Tensor("logits", FULL, 0, SIDES)
    steps.append(Step("mask", MASK, _plain([final]), logits))
    return tuple(steps)


def d3net_shapes(structure: D3NetStructure) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of one net, in network order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for step in steps_of(structure):
        shapes |= step.shapes
    return shapes


def _plain(tensors: Sequence[Tensor]) -> tuple[tuple[Tensor, int], ...]:
    return tuple((tensor, 1) for tensor in tensors)


def _branch_steps(branch: Branch, steps: list[Step]) -> list[Tensor]:
    """Append a branch's steps; returns what its last D3 block gives."""
    name = branch.name
    spectrum = Tensor(f"{name}-spectrum", name, 0, SIDES)
    first = Tensor(f"{name}-in", name, 0, branch.features)
    steps.append(Step(spectrum.name, INPUT, (), spectrum))
    steps.append(Step(first.name, CONV, _plain([spectrum]), first))
    inputs: list[Tensor] = [first]
    skips: list[list[Tensor]] = []
    for block, level in enumerate(_levels(branch.downs)):
        if 0 < block <= branch.downs:
            inputs = [_down(branch, block, inputs, steps)]
        elif block > branch.downs:
            inputs = [*skips[level], _up(branch, block, level, inputs, steps)]
        inputs = _d3_block(branch, block, inputs, steps)
        skips.append(inputs)
    return inputs


def _levels(downs: int) -> Iterator[int]:
    """The level of each D3 block: down, and up again."""
    yield from range(downs + 1)
    yield from range(downs - 1, -1, -1)


def _down(branch: Branch, block: int, inputs: Sequence[Tensor], steps: list[Step]) -> Tensor:
    channels, place = sum(tensor.channels for tensor in inputs), (branch.name, block)
    pooled = Tensor(f"{branch.name}-pool{block}", *place, channels)
    target = Tensor(f"{branch.name}-down{block}", *place, channels)
    steps.append(Step(pooled.name, POOL, _plain(inputs), pooled))
    steps.append(Step(target.name, POINT, _plain([pooled]), target))
    return target


def _up(
    branch: Branch, block: int, level: int, inputs: Sequence[Tensor], steps: list[Step]
) -> Tensor:
    channels = sum(tensor.channels for tensor in inputs)
    target = Tensor(f"{branch.name}-up{block}", branch.name, level, channels)
    steps.append(Step(target.name, UP, _plain(inputs), target))
    return target


def _d3_block(
    branch: Branch, block: int, inputs: Sequence[Tensor], steps: list[Step]
) -> list[Tensor]:
    given: list[Tensor] = []
    for number in range(1, branch.blocks + 1):
        name = f"{branch.name}-d{block + 1}-{number}"
        growth, layers = branch.growth[block], branch.layers[block]
        given.append(_d2_block(name, [*inputs, *given], growth, layers, steps))
    return given


def _d2_block(
    name: str, inputs: Sequence[Tensor], growth: int, layers: int, steps: list[Step]
) -> Tensor:
    sources = _plain(inputs)
    for layer in range(1, layers + 1):
        target = Tensor(f"{name}-{layer}", inputs[0].branch, inputs[0].level, growth)
        steps.append(Step(target.name, CONV, sources, target))
        sources = (*sources, (target, 2**layer))
    return target

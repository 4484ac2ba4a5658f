"""The shape of a player's transformer, as data: its structure, and the arrays that follow from it.

S is vocals or drums, d its channels, F the bins, B those of bass; all arrays are float32.

    S/embed        /kernel (1, F, 2, d) HWIO   /bias (d,)      a frame's bins to a token
    S/start        /scale /shift (d,)                          layer norm
    S/layer1.. and S/cross, each:
      attend/norm  /scale /shift (d,)                          layer norm; cross: of the queries' side
      attend/other /scale /shift (d,)                          cross only: of the keys' side
      attend/qkv   /kernel (d, 3 d)   /bias (3 d,)             queries, keys, values
      attend/out   /kernel (d, d)     /bias (d,)
      feed/norm    /scale /shift (d,)
      feed/up      /kernel (d, widening d)   /bias
      feed/down    /kernel (widening d, d)   /bias
    S/end          /scale /shift (d,)                          layer norm
    S/unembed      /kernel (1, F, 2, d) HWOI   /bias (F, 2)    a token to a frame's logits
    S/unet/...     a player's U-Net, 2 channels to 2           see player_unet_arrays.py
    bass/...       as S, with B bins, without cross and unet
    other/unet/... a player's U-Net, 8 channels to 2

A kernel of two axes is that of a dense layer, (inputs, outputs).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtsep.constants import FRAME_LENGTH, SAMPLE_RATE
from rtsep.nets.player_unet_arrays import PlayerUNetStructure, player_unet_shapes
from rtsep.nets.structure import Structure

# The stems that one net computes, in order; those of SONG have transformers of full size.
VOCALS, DRUMS, BASS, OTHER = STEMS = ("vocals", "drums", "bass", "other")
FULL = (VOCALS, DRUMS)
# The block in which these two attend to one another.
CROSS = "cross"
# The window that it is trained for, and the longest that it takes.
FRAMES_MAX = 192
BASS_MAX_HZ = 500
# What `other` sees: the mixture, and what each of the three masks leaves of it, two channels each.
OTHER_INPUTS = 8
CHANNELS_MAX = 4096


def bins_below(frequency_hz: float) -> int:
    """How many bins lie below a frequency, that of 0 Hz included."""
    return int(-(-frequency_hz * FRAME_LENGTH // SAMPLE_RATE))


@dataclass(frozen=True)
class PlayerTransformerStructure(Structure):
    """How large a player's transformer is.

    Attributes
    ----------
    channels, heads, layers : int
        Channels of a token of vocals and drums, heads of its attention, and layers that attend to the
        stem itself.
    cross_after : int
        After so many of these each of both attends to the other once.
    bass_channels, bass_heads, bass_layers, bass_bins : int
        The same of bass, and the bins that it sees and masks.
    widening : int
        Channels between the two dense layers that follow an attention, in multiples of a token's.
    unet_widths, unet_reduced : tuple of int
        Of the U-Nets beside the transformers of vocals and drums; see PlayerUNetStructure.
    other_widths, other_reduced : tuple of int
        Of the U-Net for other.

    Raises
    ------
    ValueError
        Where the numbers do not fit together or the kernels do not take them.
    """

    channels: int = 384
    heads: int = 8
    layers: int = 4
    cross_after: int = 2
    bass_channels: int = 96
    bass_heads: int = 2
    bass_layers: int = 3
    bass_bins: int = bins_below(BASS_MAX_HZ)
    widening: int = 4
    unet_widths: tuple[int, ...] = (16, 32, 48, 64)
    unet_reduced: tuple[int, ...] = (16, 16, 32)
    other_widths: tuple[int, ...] = (16, 32, 48, 64)
    other_reduced: tuple[int, ...] = (16, 16, 32)

    def __post_init__(self) -> None:
        for prefix in ("", "bass_"):
            channels, heads = getattr(self, f"{prefix}channels"), getattr(self, f"{prefix}heads")
            if heads < 1 or not 0 < channels <= CHANNELS_MAX or channels % (2 * heads):
                raise ValueError(
                    f"{prefix}channels must be an even number for each of the {prefix}heads, at most"
                    f" {CHANNELS_MAX} in all: got {channels} and {heads}"
                )
        for name in ("layers", "bass_layers", "bass_bins", "widening"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: got {getattr(self, name)}")
        if not 0 <= self.cross_after <= self.layers:
            raise ValueError(
                f"cross_after must be 0 to layers, {self.layers}: got {self.cross_after}"
            )
        assert self.grid  # raises where the U-Nets' widths are none

    @property
    def unet(self) -> PlayerUNetStructure:
        """The U-Nets beside the transformers of vocals and drums."""
        return PlayerUNetStructure(self.unet_widths, self.unet_reduced)

    @property
    def other(self) -> PlayerUNetStructure:
        """The U-Net for other."""
        return PlayerUNetStructure(self.other_widths, self.other_reduced, inputs=OTHER_INPUTS)

    @property
    def grid(self) -> int:
        """Frames and bins come in multiples of it."""
        return max(self.unet.grid, self.other.grid)


@dataclass(frozen=True)
class BranchShape:
    """The transformer of one stem.

    Attributes
    ----------
    stem : str
    channels, heads, layers, bins, widening : int
        See PlayerTransformerStructure.
    has_cross : bool
        Whether it attends to another stem.
    """

    stem: str
    channels: int
    heads: int
    layers: int
    bins: int
    widening: int
    has_cross: bool

    def blocks(self, cross_after: int) -> tuple[str, ...]:
        """The names of its attentions, each with what follows it, in order."""
        names = [f"{self.stem}/layer{n}" for n in range(1, self.layers + 1)]
        if self.has_cross:
            names.insert(cross_after, f"{self.stem}/{CROSS}")
        return tuple(names)


def branches(structure: PlayerTransformerStructure, bins: int) -> tuple[BranchShape, ...]:
    """The transformers of vocals, drums and bass, for windows of F bins.

    Raises ValueError where there are fewer than bass is to see.
    """
    if structure.bass_bins > bins:
        raise ValueError(f"bass_bins must be at most bins, {bins}: got {structure.bass_bins}")
    full = (
        BranchShape(
            stem,
            structure.channels,
            structure.heads,
            structure.layers,
            bins,
            structure.widening,
            True,
        )
        for stem in FULL
    )
    bass = BranchShape(
        BASS,
        structure.bass_channels,
        structure.bass_heads,
        structure.bass_layers,
        structure.bass_bins,
        structure.widening,
        False,
    )
    return (*full, bass)


def _block_shapes(name: str, channels: int, widened: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    norms = ["attend/norm", "feed/norm"]
    if name.endswith(f"/{CROSS}"):
        norms.insert(1, "attend/other")
    for norm in norms:
        yield from ((f"{name}/{norm}/{part}", (channels,)) for part in ("scale", "shift"))
    for layer, inputs, outputs in (
        ("attend/qkv", channels, 3 * channels),
        ("attend/out", channels, channels),
        ("feed/up", channels, widened),
        ("feed/down", widened, channels),
    ):
        yield f"{name}/{layer}/kernel", (inputs, outputs)
        yield f"{name}/{layer}/bias", (outputs,)


def player_transformer_shapes(
    structure: PlayerTransformerStructure, bins: int
) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of the net."""
    shapes: dict[str, tuple[int, ...]] = {}
    for branch in branches(structure, bins):
        stem, channels = branch.stem, branch.channels
        shapes[f"{stem}/embed/kernel"] = (1, branch.bins, 2, channels)
        shapes[f"{stem}/embed/bias"] = (channels,)
        for norm in ("start", "end"):
            shapes |= {f"{stem}/{norm}/{part}": (channels,) for part in ("scale", "shift")}
        for block in branch.blocks(structure.cross_after):
            shapes |= dict(_block_shapes(block, channels, branch.widening * channels))
        shapes[f"{stem}/unembed/kernel"] = (1, branch.bins, 2, channels)
        shapes[f"{stem}/unembed/bias"] = (branch.bins, 2)
    unets = [(stem, structure.unet) for stem in FULL] + [(OTHER, structure.other)]
    for stem, unet in unets:
        shapes |= {f"{stem}/unet/{name}": s for name, s in player_unet_shapes(unet).items()}
    return shapes

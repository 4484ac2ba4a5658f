"""The shape of a player's U-Net, as data: its structure, and the arrays that follow from it.

    conv1..conv(L-1)  /kernel (5, 5, in, out) HWIO   /bias /scale /shift (out,)   stride 2
    convL             /kernel (5, 5, in, out) HWIO   /bias (out,)                 stride 2
    skip1..skip(L-1)  /kernel (1, 1, in, out) HWIO   /bias (out,)
    up1..up(L-1)      /kernel (5, 5, out, in) HWOI   /bias /scale /shift (out,)   stride 2, transposed
    upL               /kernel (5, 5, outputs, in) HWOI   /bias (outputs,)

all float32. Batch norm stands before the activation, folded to `scale` and `shift` per channel as in
arrays.py; the lowest level, which may be a single pixel, has none.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.nets.structure import Structure

# The widest vector: channels come in whole ones with every kernel set.
CHANNELS_AT_ONCE = 16
CHANNELS_MAX = 4096
LEVELS_MAX = 8


@dataclass(frozen=True)
class PlayerUNetStructure(Structure):
    """How wide a player's U-Net is.

    Attributes
    ----------
    widths : tuple of int
        [n - 1]: channels at level n of the encoder. There are as many levels, each of half the frames
        and bins of the one above.
    reduced : tuple of int
        [n - 1]: channels that level n's skip is reduced to, and that come from below beside it. One
        fewer than the widths: nothing passes by the lowest level.
    inputs : int
        Channels of the image that comes in.
    outputs : int
        Channels of the masks that go out.

    Raises
    ------
    ValueError
        Where the numbers do not fit together or the kernels do not take them.
    """

    widths: tuple[int, ...] = (32, 64, 96, 128, 192, 256)
    reduced: tuple[int, ...] = (16, 32, 48, 64, 96)
    inputs: int = 2
    outputs: int = 2

    def __post_init__(self) -> None:
        if not 2 <= len(self.widths) <= LEVELS_MAX or len(self.reduced) != len(self.widths) - 1:
            raise ValueError(
                f"a player's U-Net needs 2 to {LEVELS_MAX} widths and one reduced width fewer: got"
                f" {len(self.widths)} and {len(self.reduced)}"
            )
        for channels in (*self.widths, *self.reduced):
            if channels % CHANNELS_AT_ONCE or not 0 < channels <= CHANNELS_MAX:
                raise ValueError(
                    f"widths must be multiples of {CHANNELS_AT_ONCE}, at most {CHANNELS_MAX}: got"
                    f" {channels}"
                )
        if self.inputs % 2 or not 0 < self.inputs <= CHANNELS_MAX:
            raise ValueError(f"inputs must be even and positive: got {self.inputs}")
        if not 0 < self.outputs <= CHANNELS_MAX:
            raise ValueError(f"outputs must be positive: got {self.outputs}")

    @property
    def levels(self) -> int:
        """How often frames and bins are halved."""
        return len(self.widths)

    @property
    def grid(self) -> int:
        """Frames and bins come in multiples of it."""
        return 2**self.levels

    @property
    def decoder_inputs(self) -> tuple[int, ...]:
        """[s - 1]: channels that up s takes: the lowest level's, then skip and way up together."""
        return (self.widths[-1], *(2 * channels for channels in reversed(self.reduced)))


def player_unet_shapes(structure: PlayerUNetStructure) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of one net, in network order."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = (structure.inputs, *structure.widths)
    norm = "bias", "scale", "shift"
    for level, (channels_in, channels_out) in enumerate(zip(inputs, structure.widths), 1):
        shapes[f"conv{level}/kernel"] = (5, 5, channels_in, channels_out)
        parts = norm if level < structure.levels else ("bias",)
        shapes |= {f"conv{level}/{name}": (channels_out,) for name in parts}
        if level < structure.levels:
            channels = structure.reduced[level - 1]
            shapes[f"skip{level}/kernel"] = (1, 1, channels_out, channels)
            shapes[f"skip{level}/bias"] = (channels,)
    outputs = (*reversed(structure.reduced), structure.outputs)
    for step, (channels_in, channels_out) in enumerate(zip(structure.decoder_inputs, outputs), 1):
        shapes[f"up{step}/kernel"] = (5, 5, channels_out, channels_in)
        parts = norm if step < structure.levels else ("bias",)
        shapes |= {f"up{step}/{name}": (channels_out,) for name in parts}
    return shapes

"""A player's U-Net: constants packed once, state allocated once, a straight-line forward pass.

    magnitudes (T, F, 2) -> conv1 .. convL -> up1 .. upL -> masks (T, 2, F)
                               |  skip (1x1)  ^
                               +--------------+

Encoder and decoder are 5x5 convolutions of stride 2 as in Spleeter's U-Net (unet.py). What is handed
over beside the lowest level goes through a 1x1 convolution first, which reduces its channels: so the
encoder may be wide where the decoder is narrow, and the decoder's layers, the larger part of Spleeter's
work, cost a third as much.

The last upconvolution gives the logits themselves, one channel after the other, since a kernel for one
channel wastes no lanes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.player_unet_arrays import PlayerUNetStructure
from rtsep.nets.player_unet_forward import Buffers, Constants, run
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.pack import aligned_zeros, pack_conv, pack_epilogue, pack_subpixel, pack_thin
from rtsep_kernels.precision import Precision
from rtsep_kernels.records import Activation, Image, Layer
from rtsep_kernels.thin import thin_parameters


def pack_player_unet(
    structure: PlayerUNetStructure,
    arrays: Mapping[str, NDArray[np.float32]],
    encoder_activation: str,
    decoder_activation: str,
    *,
    logits_only: bool,
) -> Constants:
    """The constants of the U-Net with these canonical arrays (player_unet_arrays.py)."""
    encoder_act, decoder_act = activation(encoder_activation), activation(decoder_activation)
    linear, levels = activation("linear"), structure.levels

    def epilogue(name: str) -> NDArray[np.float32]:
        channels = len(arrays[f"{name}/bias"])
        parameters = epilogue_parameters(
            channels,
            bias=arrays[f"{name}/bias"],
            pre_scale=arrays.get(f"{name}/scale"),
            pre_shift=arrays.get(f"{name}/shift"),
        )
        return pack_epilogue(parameters)

    def convolution(name: str, act: Activation) -> Layer:
        kernel = arrays[f"{name}/kernel"]
        return Layer(pack_conv(kernel), epilogue(name), act, kernel.shape[3])

    def upconvolution(name: str) -> Layer:
        kernel = arrays[f"{name}/kernel"]
        return Layer(pack_subpixel(kernel), epilogue(name), decoder_act, kernel.shape[2])

    last = f"up{levels}"

    def output(channel: int) -> Layer:
        weights = pack_thin(arrays[f"{last}/kernel"][:, :, channel : channel + 1])
        parameters = thin_parameters(arrays[f"{last}/bias"][channel], 1.0, 0.0)
        return Layer(weights, parameters, linear, 1)

    return Constants(
        tuple(convolution(f"conv{n}", encoder_act) for n in range(1, levels + 1)),
        tuple(convolution(f"skip{n}", linear) for n in range(1, levels)),
        tuple(upconvolution(f"up{n}") for n in range(1, levels)),
        tuple(output(channel) for channel in range(structure.outputs)),
        logits_only,
    )


def player_unet_buffers(structure: PlayerUNetStructure, frames: int, bins: int) -> Buffers:
    """Allocate the buffers of a window of T frames by F bins; every page is touched.

    Raises ValueError unless T and F are positive multiples of the structure's grid.
    """
    for name, count in (("frames", frames), ("bins", bins)):
        if count < structure.grid or count % structure.grid:
            raise ValueError(
                f"{name} must be a positive multiple of {structure.grid}: got {name}={count}"
            )

    def image(level: int, channels: int, behind: int, spare_rows: int) -> Image:
        rows, pixels = frames >> level, bins >> level
        row_stride = (1 + pixels + behind) * channels
        values = aligned_zeros((rows + spare_rows) * row_stride + channels)
        values.fill(0.0)  # memory is there before the sound starts
        return Image(values, channels, row_stride, channels, rows, pixels)

    inputs = structure.inputs, *structure.widths[:-1]
    encoder = tuple(image(level, channels, 2, 0) for level, channels in enumerate(inputs))
    pairs = *(2 * channels for channels in structure.reduced), structure.widths[-1]
    # One row of zeros more for the thin kernel.
    decoder = tuple(image(level, channels, 1, 1) for level, channels in enumerate(pairs, 1))
    return Buffers(encoder, decoder, decoder[0].rows * decoder[0].row_stride)


def buffers_nbytes(buffers: Buffers) -> int:
    """Memory held, in bytes."""
    return sum(image.values.nbytes for image in (*buffers.encoder, *buffers.decoder))


class PlayerUNet:
    """The constants of one stem's net, packed for this processor. Shared by all its states.

    Parameters
    ----------
    config : ModelConfig
        Of the model that the stem belongs to; its structure is a PlayerUNetStructure.
    arrays : mapping of str to ndarray
        Canonical arrays of one stem (see player_unet_arrays.py), already checked.
    precision : Precision
        "f32".
    """

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, NDArray[np.float32]],
        precision: Precision = "f32",
    ):
        self.config, self.precision = config, precision
        self.constants = pack_player_unet(
            PlayerUNetStructure.of(config.structure),
            arrays,
            config.encoder_activation,
            config.decoder_activation,
            logits_only=config.output == "softmax",
        )


class PlayerUNetState:
    """The buffers of one running net: T frames by F bins. One user at a time.

    Parameters
    ----------
    config : ModelConfig
        Of the nets that are going to run.
    frames, bins : int
        T and F, multiples of the structure's grid.

    Raises
    ------
    ValueError
        Unless T and F are positive multiples of the grid.
    """

    def __init__(self, config: ModelConfig, frames: int, bins: int):
        structure = PlayerUNetStructure.of(config.structure)
        self.frames, self.bins = frames, bins
        self.buffers = player_unet_buffers(structure, frames, bins)

    def run(self, net: PlayerUNet, magnitudes: NDArray[Any], masks: NDArray[np.float32]) -> None:
        """Compute the masks of one window of frames. Releases the GIL; allocates nothing.

        Parameters
        ----------
        net : PlayerUNet
        magnitudes : (T, F, 2) float32
            Linear STFT magnitudes.
        masks : (T, 2, F) float32, C-contiguous
            Receives the mask per channel in 0..1 (or the logits, where the stems of the model share a
            softmax).
        """
        run(net.constants, self.buffers, magnitudes, masks)

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return buffers_nbytes(self.buffers)

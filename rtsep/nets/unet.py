"""Spleeter's U-Net: constants packed once, state allocated once, a straight-line forward pass.

    magnitudes (T, F, 2) -> conv1 .. conv6 -> up1 .. up6 -> mask (T, 2, F)

Encoder: 5x5 convolutions of stride 2. Each stores its sums + bias twice: bare into the skip half of
the decoder's buffer of that level, and batch-normed and activated as the next layer's input; conv6
goes to the decoder bare. Decoder: 5x5 transposed convolutions of stride 2; activation, *then* batch
norm; each writes into the second channel half of the next buffer, so that nothing is ever
concatenated.

The network after Jansson et al., "Singing voice separation with deep U-Net convolutional networks"
(ISMIR 2017) in the form of Hennequin et al., "Spleeter" (JOSS 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.nets.arrays import DECODER_OUTPUTS, ENCODER_CHANNELS
from rtsep.nets.buffers import LEVELS, make_buffers
from rtsep.nets.forward import Constants, Work, forward, take_in
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.pack import pack_conv, pack_epilogue, pack_subpixel, pack_thin
from rtsep_kernels.precision import Precision
from rtsep_kernels.records import Layer, MaskLayer
from rtsep_kernels.thin import thin_parameters

LAYERS = (*(f"conv{n}" for n in range(1, 7)), *(f"up{n}" for n in range(1, 7)), "mask")


class UNet:
    """The constants of one stem's network, packed for this processor. Shared by all its states.

    Parameters
    ----------
    config : ModelConfig
        Of the model that the stem belongs to.
    arrays : mapping of str to ndarray
        Canonical arrays of one stem (see arrays.py), already checked.
    precision : Precision
        "f32": as they are. "weights16": weights in 16 bits, arithmetic in float32. "bf16": weights and
        activations in bfloat16, sums in float32.
    """

    def __init__(
        self,
        config: ModelConfig,
        arrays: Mapping[str, NDArray[np.float32]],
        precision: Precision = "f32",
    ):
        self.config = config
        self.precision = precision
        encoder_act = activation(config.encoder_activation)
        decoder_act = activation(config.decoder_activation)

        def epilogue(name: str, channels: int, **norm: ArrayLike | None) -> NDArray[np.float32]:
            parameters = epilogue_parameters(channels, bias=arrays[f"{name}/bias"], **norm)
            return pack_epilogue(parameters)

        layers = []
        for level in range(1, LEVELS + 1):
            name, channels = f"conv{level}", ENCODER_CHANNELS[level]
            packed = epilogue(
                name,
                channels,
                pre_scale=arrays.get(f"{name}/scale"),
                pre_shift=arrays.get(f"{name}/shift"),
            )
            # What conv6 hands to the decoder is bare.
            act = encoder_act if level < LEVELS else activation("linear")
            weights = pack_conv(arrays[f"{name}/kernel"], precision)
            layers.append(Layer(weights, packed, act, channels))
        for step in range(1, LEVELS):
            name, channels = f"up{step}", DECODER_OUTPUTS[step - 1]
            packed = epilogue(
                name,
                channels,
                post_scale=arrays[f"{name}/scale"],
                post_shift=arrays[f"{name}/shift"],
            )
            weights = pack_subpixel(arrays[f"{name}/kernel"], precision)
            layers.append(Layer(weights, packed, decoder_act, channels))
        parameters = thin_parameters(
            *(arrays[f"up6/{part}"] for part in ("bias", "scale", "shift"))
        )
        weights = pack_thin(arrays["up6/kernel"], precision)
        thin = Layer(weights, parameters, decoder_act, 1)
        mask_weights = np.array(arrays["mask/kernel"][:, :, 0], np.float32)
        mask_bias = np.array(arrays["mask/bias"], np.float32)
        mask = MaskLayer(mask_weights, mask_bias, config.output == "softmax")
        self.constants = Constants(tuple(layers), thin, mask)


def check_precision(net: UNet, of_state: Precision) -> None:
    """Raise ValueError unless buffers of a precision suit the net: the kernels would not notice."""
    if (net.precision == "bf16") != (of_state == "bf16"):
        raise ValueError(f"a net in {net.precision} cannot run in buffers for {of_state}")


class UNetState:
    """The buffers of one running network: T frames by F bins. One user at a time.

    Parameters
    ----------
    frames, bins : int
        T and F, multiples of 64.
    precision : Precision
        Of the nets that are going to run; "weights16" is as good as "f32".

    Attributes
    ----------
    buffers : Buffers
    all_rows : (13, 2) int64
        All rows of each layer's output, [layer][first, stop), in the order of LAYERS.

    Raises
    ------
    ValueError
        Unless T and F are positive multiples of 64.
    """

    def __init__(self, frames: int, bins: int, precision: Precision = "f32"):
        self.frames, self.bins, self.precision = frames, bins, precision
        self.buffers = make_buffers(
            frames,
            bins,
            [frames >> level for level in range(LEVELS)],
            [frames >> level for level in range(1, LEVELS + 1)],
            precision,
        )
        self.all_rows = np.array(
            [(0, frames >> n) for n in range(1, LEVELS + 1)]
            + [(0, frames >> n) for n in range(LEVELS - 1, -1, -1)]
            + [(0, frames)],
            np.int64,
        )
        self._no_edges = np.zeros((LEVELS, 2), np.int64)
        self._skip_from = np.zeros(LEVELS, np.int64)

    def run(self, net: UNet, magnitudes: NDArray[Any], masks: NDArray[np.float32]) -> None:
        """Compute the masks of one window of frames. Releases the GIL; allocates nothing.

        Parameters
        ----------
        net : UNet
        magnitudes : (T, F, 2) float32
            Linear STFT magnitudes.
        masks : (T, 2, F) float32
            Receives the mask per channel in 0..1 (or the logits, where the stems of the model share a
            softmax).

        Raises
        ------
        ValueError
            If the net is in bf16 and the state not, or the other way round.
        """
        check_precision(net, self.precision)
        self.take_in(magnitudes)
        self.forward(net, masks, self.all_rows)

    def take_in(self, magnitudes: NDArray[Any]) -> None:
        """Copy the magnitudes (T, F, 2), float32, that `forward` is going to compute the masks of."""
        take_in(magnitudes, self.buffers.encoder[0])

    def forward(self, net: UNet, masks: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Run the network on what was taken in, computing only `rows` (see all_rows)."""
        work = Work(rows, self._no_edges, self._skip_from)
        forward(net.constants, self.buffers, work, masks)

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return self.buffers.nbytes

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

import numpy as np

from rtsep.nets.arrays import DECODER_OUTPUTS, ENCODER_CHANNELS
from rtsep.nets.forward import forward
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.conv import Plane
from rtsep_kernels.epilogue import activation, epilogue_parameters
from rtsep_kernels.pack import aligned_zeros, pack_conv, pack_epilogue, pack_subpixel, pack_thin
from rtsep_kernels.thin import MASK_PADDING, thin_parameters

LEVELS = 6
GRID = 2**LEVELS
LAYERS = (*(f"conv{n}" for n in range(1, 7)), *(f"up{n}" for n in range(1, 7)), "mask")


class UNet:
    """The constants of one stem's network, packed for this processor. Shared by all its states.

    arrays: canonical arrays of one stem (see arrays.py), already checked.
    """

    def __init__(self, config: ModelConfig, arrays: Mapping[str, np.ndarray]):
        self.config = config
        self.encoder_act, self.encoder_slope = activation(config.encoder_activation)
        self.decoder_act, self.decoder_slope = activation(config.decoder_activation)
        self.logits_only = config.output == "softmax"
        weights, epilogues = [], []
        for level in range(1, LEVELS + 1):
            name = f"conv{level}"
            weights.append(pack_conv(arrays[f"{name}/kernel"]))
            epilogues.append(
                pack_epilogue(
                    epilogue_parameters(
                        ENCODER_CHANNELS[level],
                        bias=arrays[f"{name}/bias"],
                        pre_scale=arrays.get(f"{name}/scale"),
                        pre_shift=arrays.get(f"{name}/shift"),
                    )
                )
            )
        for step in range(1, LEVELS):
            name = f"up{step}"
            weights.append(pack_subpixel(arrays[f"{name}/kernel"]))
            epilogues.append(
                pack_epilogue(
                    epilogue_parameters(
                        DECODER_OUTPUTS[step - 1],
                        bias=arrays[f"{name}/bias"],
                        post_scale=arrays[f"{name}/scale"],
                        post_shift=arrays[f"{name}/shift"],
                    )
                )
            )
        weights.append(pack_thin(arrays["up6/kernel"]))
        epilogues.append(
            thin_parameters(arrays["up6/bias"], arrays["up6/scale"], arrays["up6/shift"])
        )
        # One array per layer, in the order of LAYERS without the mask.
        self.weights = tuple(weights)
        self.epilogues = tuple(epilogues)
        self.mask_weights = np.array(arrays["mask/kernel"][:, :, 0], np.float32)
        self.mask_bias = np.array(arrays["mask/bias"], np.float32)

    @property
    def constants(self) -> tuple:
        """What `forward` is given of the net, in its order."""
        return (
            self.weights, self.epilogues, self.encoder_act, self.encoder_slope, self.decoder_act,
            self.decoder_slope, self.mask_weights, self.mask_bias, self.logits_only,
        )  # fmt: skip


def encoder_plane(level: int, bins: int) -> Plane:
    """Rows of the input of the convolution from `level`: a zero pixel before and two behind each."""
    channels = ENCODER_CHANNELS[level]
    return Plane(channels, ((bins >> level) + 3) * channels, channels)


def decoder_plane(level: int, bins: int) -> Plane:
    """Rows of the input of the upconvolution from `level`: skip and up, a zero pixel either side."""
    channels = ENCODER_CHANNELS[level] * (1 if level == LEVELS else 2)
    return Plane(channels, ((bins >> level) + 2) * channels, channels)


class UNetState:
    """The buffers of one running network: T frames by F bins. One user at a time.

    Activations stand as [frame][bin][channel] float32, zero-padded along frequency; along time the
    kernels leave out the taps that would fall outside. All buffers are flat, so that one compiled
    function serves every level.

    frames, bins: multiples of 64; raises ValueError otherwise.
    """

    def __init__(self, frames: int, bins: int):
        for name, count in (("frames", frames), ("bins", bins)):
            if count < GRID or count % GRID:
                raise ValueError(
                    f"{name} must be a positive multiple of {GRID}: got {name}={count}"
                )
        self.frames, self.bins = frames, bins
        # Level n has frames >> n rows of bins >> n pixels.
        # encoder[n], n = 0..5: input of conv n+1, one zero pixel before and two behind each row.
        # writer: conv n (the caller for n = 0); reader: conv n+1.
        self.encoder_planes = tuple(encoder_plane(level, bins) for level in range(LEVELS))
        self.encoder = tuple(
            aligned_zeros((frames >> level) * plane.row_stride + plane.pixel_stride)
            for level, plane in enumerate(self.encoder_planes)
        )
        # decoder[n-1], n = 1..6: input of the upconvolution from level n, [skip, up] channels, one
        # zero pixel before and behind each row, and behind the last row a row of zeros for the thin
        # kernel.
        # writers: conv n (skip half), up 6-n (up half); reader: up 7-n.
        self.decoder_planes = tuple(decoder_plane(level, bins) for level in range(1, LEVELS + 1))
        self.decoder = tuple(
            aligned_zeros(((frames >> level) + 1) * plane.row_stride)
            for level, plane in enumerate(self.decoder_planes, start=1)
        )
        # up6's output, the mask convolution's input. writer: up6; reader: mask.
        row_stride = bins + 2 * MASK_PADDING
        self.last = aligned_zeros(frames * row_stride)
        self.last_plane = Plane(MASK_PADDING, row_stride, 1)
        self.scratch = np.zeros((2, bins), np.float32)
        # Rows of each layer's output to compute, [layer][first, stop), in the order of LAYERS.
        self.all_rows = np.array(
            [(0, frames >> n) for n in range(1, LEVELS + 1)]
            + [(0, frames >> n) for n in range(LEVELS - 1, -1, -1)]
            + [(0, frames)],
            np.int64,
        )
        self._no_edges = np.zeros((LEVELS, 2), np.int64)
        self._skip_from = np.zeros(LEVELS, np.int64)
        self._zero_row = (frames >> 1) * self.decoder_planes[0].row_stride
        # The padded input seen as (frames, bins, 2): what `run` fills.
        row_stride = self.encoder_planes[0].row_stride
        rows = self.encoder[0][: frames * row_stride].reshape(frames, row_stride // 2, 2)
        self.input = rows[:, 1 : 1 + bins]

    def run(self, net: UNet, magnitudes: np.ndarray, masks: np.ndarray) -> None:
        """Compute the masks of one window of frames.

        magnitudes: (frames, bins, 2) float32, linear STFT magnitudes.
        masks: (frames, 2, bins) float32, receives the mask per channel in 0..1 (or the logits,
            where the stems of the model share a softmax).
        Releases the GIL; allocates nothing.
        """
        self.input[:] = magnitudes
        self.forward(net, masks, self.all_rows)

    def forward(self, net: UNet, masks: np.ndarray, rows: np.ndarray) -> None:
        """Run the network on what stands in `self.input`, computing only `rows` (see all_rows)."""
        forward(
            self.frames, self.bins, self.encoder, self.encoder_planes, self.decoder,
            self.decoder_planes, self._zero_row, self.last, self.last_plane, self.scratch,
            *net.constants, masks, rows, self._no_edges, self._skip_from,
        )  # fmt: skip

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        return sum(b.nbytes for b in (*self.encoder, *self.decoder, self.last, self.scratch))

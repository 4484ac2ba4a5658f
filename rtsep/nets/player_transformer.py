"""A player's transformer: one net for four stems, constants packed once, state allocated once.

                 vocals   frames -> tokens -> 2 layers -+- 2 layers -> frames --(+)--> mask
                                                    cross                        ^
    magnitudes   drums    frames -> tokens -> 2 layers -+- 2 layers -> frames --(+)--> mask
    (T, F, 2)                                                                    ^
                 a small U-Net for each of the two ------------------------------+
                 bass     frames below 500 Hz -> tokens -> 3 layers -> frames -------> mask
                 other    a small U-Net of the mixture and the three masked ---------> mask

A frame's bins become one token: a dense layer over all bins and both channels (a convolution with a
kernel of 1024 x 1), of the square roots of the magnitudes, which have half their range of decibels.
Layer norm takes the loudness out before the positions are added. The transformer is that of Vaswani et
al. ("Attention is all you need", 2017) with layer norm before each part (Xiong et al., 2020) and GELU;
its positions are sines, so that every frame has one without being trained. The transformer sees harmony
and rhythm over the whole window but no shapes across bins; those the U-Net sees, and their logits are
added.

Why these sizes. With four layers and the cross-attention vocals and drums have 10.7 M parameters each,
as many as Spleeter's U-Net, of which it is known that the ten hours of MUSDB18 suffice to train it. 384
channels hold a frame of 2048 values, most of them silent; each of eight heads has 48 channels, one panel
of a dense layer with AVX-512. The cross-attention stands in the middle, where there is something to be
told and time left to make use of it. Bass has 94 values a frame: 96 channels, three layers. A U-Net of
four levels sees 1.4 s, has 0.2 M parameters and takes less than half of its transformer's time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.player_transformer_arrays import (
    BASS,
    DRUMS,
    FRAMES_MAX,
    OTHER,
    STEMS,
    VOCALS,
    BranchShape,
    PlayerTransformerStructure,
    branches,
)
from rtsep.nets.player_transformer_forward import (
    Branch,
    Buffers,
    Constants,
    Tokens,
    run,
)
from rtsep.nets.player_transformer_packing import Arrays, pack_branch
from rtsep.nets.player_unet import buffers_nbytes, pack_player_unet, player_unet_buffers
from rtsep.nets.player_unet_forward import Constants as UNetConstants
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.attention import attention_work
from rtsep_kernels.dense import padded
from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.precision import Precision
from rtsep_kernels.records import AttentionWork, Image


def _part(arrays: Arrays, prefix: str) -> dict[str, NDArray[np.float32]]:
    """The arrays whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


class PlayerTransformer:
    """The constants of a model's net, packed for this processor. Shared by all its states.

    Parameters
    ----------
    config : ModelConfig
        Of the model; its structure is a PlayerTransformerStructure.
    arrays : mapping of str to ndarray
        Canonical arrays of the net (see player_transformer_arrays.py), already checked.
    precision : Precision
        "f32".
    """

    stems = STEMS

    def __init__(self, config: ModelConfig, arrays: Arrays, precision: Precision = "f32"):
        structure = PlayerTransformerStructure.of(config.structure)
        self.config, self.precision = config, precision
        shapes = {shape.stem: shape for shape in branches(structure, config.bins)}

        def unet(stem: str, *, logits_only: bool) -> UNetConstants:
            return pack_player_unet(
                structure.other if stem == OTHER else structure.unet,
                _part(arrays, f"{stem}/unet/"),
                config.encoder_activation,
                config.decoder_activation,
                logits_only=logits_only,
            )

        def branch(stem: str) -> Branch:
            heads = structure.bass_heads if stem == BASS else structure.heads
            return pack_branch(arrays, shapes[stem], heads, structure.cross_after)

        self.constants = Constants(
            branch(VOCALS),
            branch(DRUMS),
            branch(BASS),
            structure.cross_after,
            unet(VOCALS, logits_only=True),
            unet(DRUMS, logits_only=True),
            unet(OTHER, logits_only=False),
        )


def _tokens(frames: int, channels: int) -> Image:
    """A row of T tokens of at least so many channels; every page is touched."""
    stride = padded(channels)
    values = aligned_zeros(frames * stride)
    values.fill(0.0)  # memory is there before the sound starts
    return Image(values, 0, 0, stride, 1, frames)


def _work(frames: int, head_channels: int) -> AttentionWork:
    work = attention_work(frames, head_channels)
    for values in work:
        values.fill(0.0)
    return work


class PlayerTransformerState:
    """The buffers of one running net: T frames by F bins. One user at a time.

    Parameters
    ----------
    config : ModelConfig
        Of the nets that are going to run.
    frames, bins : int
        T and F, multiples of the structure's grid; F is the model's, T at most FRAMES_MAX.

    Raises
    ------
    ValueError
        Unless T and F are so.
    """

    def __init__(self, config: ModelConfig, frames: int, bins: int):
        structure = PlayerTransformerStructure.of(config.structure)
        if frames > FRAMES_MAX:
            raise ValueError(f"frames must be at most {FRAMES_MAX}: got frames={frames}")
        if bins != config.bins:
            raise ValueError(f"bins must be those of the model, {config.bins}: got bins={bins}")
        self.frames, self.bins = frames, bins
        full, _, bass = branches(structure, bins)

        def tokens(shape: BranchShape, heads: int) -> Tokens:
            channels = shape.channels
            return Tokens(
                _tokens(frames, channels),
                _tokens(frames, channels),
                _tokens(frames, channels),
                _tokens(frames, 2 * channels),
                _tokens(frames, shape.widening * channels),
                _tokens(frames, 2 * shape.bins),
                _work(frames, channels // heads),
            )

        vocals = tokens(full, structure.heads)
        drums = vocals._replace(
            residual=_tokens(frames, full.channels), query=_tokens(frames, full.channels)
        )
        self.buffers = Buffers(
            _tokens(frames, 2 * bins),
            vocals,
            drums,
            tokens(bass, structure.bass_heads),
            player_unet_buffers(structure.unet, frames, bins),
            player_unet_buffers(structure.other, frames, bins),
        )

    def run(
        self, net: PlayerTransformer, magnitudes: NDArray[Any], masks: NDArray[np.float32]
    ) -> None:
        """Compute the masks of one window of frames. Releases the GIL; allocates nothing.

        Parameters
        ----------
        net : PlayerTransformer
        magnitudes : (T, F, 2) float32
            Linear STFT magnitudes.
        masks : (4, T, 2, F) float32, C-contiguous
            Receives the mask of each of STEMS per channel in 0..1.
        """
        run(net.constants, self.buffers, magnitudes, masks)

    @property
    def nbytes(self) -> int:
        """Memory held by the buffers, in bytes."""
        buffers = self.buffers
        arrays: dict[int, int] = {}
        for tokens in (buffers.vocals, buffers.drums, buffers.bass):
            held = [field.values for field in tokens if isinstance(field, Image)] + list(
                tokens.work
            )
            arrays |= {array.ctypes.data: array.nbytes for array in held}
        unets = buffers_nbytes(buffers.unet) + buffers_nbytes(buffers.other)
        return buffers.roots.values.nbytes + sum(arrays.values()) + unets

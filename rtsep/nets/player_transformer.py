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

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.player_transformer_arrays import (
    BASS,
    CROSS,
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
from rtsep.nets.player_unet import buffers_nbytes, pack_player_unet, player_unet_buffers
from rtsep.nets.player_unet_forward import Constants as UNetConstants
from rtsep.nets.registry import ModelConfig
from rtsep_kernels.attention import attention_work
from rtsep_kernels.blocking import PACK_SLACK
from rtsep_kernels.dense import dense_size, pack_dense, padded
from rtsep_kernels.pack import aligned_zeros
from rtsep_kernels.precision import Precision
from rtsep_kernels.records import AttentionWork, Image

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


def _part(arrays: Arrays, prefix: str) -> dict[str, NDArray[np.float32]]:
    """The arrays whose names begin with `prefix`, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


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


def _pack_branch(arrays: Arrays, shape: BranchShape, heads: int, cross: int) -> Branch:
    """The constants of one stem's transformer."""
    counted = _Arena(None)
    _lay_out(counted, arrays, shape, heads, cross)
    return _lay_out(_Arena(aligned_zeros(counted.held + PACK_SLACK)), arrays, shape, heads, cross)


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
        structure = config.structure
        assert isinstance(structure, PlayerTransformerStructure)
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
            return _pack_branch(arrays, shapes[stem], heads, structure.cross_after)

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
        structure = config.structure
        assert isinstance(structure, PlayerTransformerStructure)
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

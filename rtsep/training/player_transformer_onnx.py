"""A player's transformer as an ONNX graph: magnitudes (1, 2, T, F) in, masks (1, 4, 2, T, F) out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtsep.nets.player_transformer_arrays import (
    BASS,
    CROSS,
    DRUMS,
    FULL,
    OTHER,
    STEMS,
    VOCALS,
    BranchShape,
    PlayerTransformerStructure,
    branches,
)
from rtsep.nets.player_transformer_packing import positions
from rtsep.nets.registry import ModelConfig
from rtsep.training.player_unet_onnx import add_player_unet
from rtsep.training.unet_onnx import INPUT, OUTPUT, Graph
from rtsep_kernels.layer_norm import EPSILON

# The first one that knows GELU.
OPSET = 20


def player_transformer_onnx(
    config: ModelConfig, arrays: Mapping[str, np.ndarray], frames: int, bins: int
) -> bytes:
    """The serialised model of all stems.

    arrays: canonical arrays (rtsep/nets/player_transformer_arrays.py).
    """
    structure = PlayerTransformerStructure.of(config.structure)
    graph = _Transformer(arrays, structure, frames)
    shapes = {shape.stem: shape for shape in branches(structure, bins)}
    roots = graph.add("Sqrt", "roots", [INPUT])
    # One frame after the other, [bin][channel].
    roots = graph.add("Transpose", "by frame", [roots], perm=[0, 2, 3, 1])
    tokens = {stem: graph.embed(shape, roots) for stem, shape in shapes.items()}
    for n in range(1, structure.layers + 1):
        if n == structure.cross_after + 1:
            tokens = graph.cross(tokens)
        for stem in FULL:
            tokens[stem] = graph.block(f"{stem}/layer{n}", tokens[stem], None)
    if structure.cross_after == structure.layers:
        tokens = graph.cross(tokens)
    for n in range(1, structure.bass_layers + 1):
        tokens[BASS] = graph.block(f"{BASS}/layer{n}", tokens[BASS], None)
    logits = {stem: graph.unembed(shape, tokens[stem]) for stem, shape in shapes.items()}
    for stem in FULL:
        beside = add_player_unet(graph, structure.unet, config, INPUT, f"{stem}/unet/")
        logits[stem] = graph.add("Add", f"{stem}/mixed", [logits[stem], beside])
    masks = {stem: graph.add("Sigmoid", f"{stem}/mask", [logits[stem]]) for stem in shapes}
    silent_bins = graph.constant("silent bins", np.array([0] * 7 + [bins - structure.bass_bins]))
    masks[BASS] = graph.add("Pad", f"{BASS}/padded", [masks[BASS], silent_bins])
    heard = [graph.add("Mul", f"{stem}/heard", [INPUT, masks[stem]]) for stem in shapes]
    seen = graph.add("Concat", f"{OTHER}/seen", [INPUT, *heard], axis=1)
    beside = add_player_unet(graph, structure.other, config, seen, f"{OTHER}/unet/")
    masks[OTHER] = graph.add("Sigmoid", f"{OTHER}/mask", [beside])
    first_axis = graph.constant("first axis", np.array([1]))
    apart = [graph.add("Unsqueeze", f"{stem}/apart", [masks[stem], first_axis]) for stem in STEMS]
    graph.add("Concat", OUTPUT, apart, axis=1)
    return graph.serialise([1, 2, frames, bins], [1, len(STEMS), 2, frames, bins], OPSET)


class _Transformer(Graph):
    """A graph with a transformer's layers; tokens are (T, channels)."""

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        structure: PlayerTransformerStructure,
        frames: int,
    ):
        super().__init__(arrays)
        self.structure, self.frames = structure, frames

    def reshape(self, name: str, x: str, shape: Sequence[int]) -> str:
        """The same numbers in another shape."""
        return self.add("Reshape", name, [x, self.constant(f"{name}/shape", np.array(shape))])

    def dense(self, name: str, x: str, weights: np.ndarray, bias: np.ndarray) -> str:
        """x W + b."""
        constants = [
            self.constant(f"{name}/{part}", values)
            for part, values in (("weights", weights), ("biases", bias))
        ]
        return self.add("Gemm", f"{name}/sums", [x, *constants])

    def dense_layer(self, name: str, x: str) -> str:
        """The dense layer of that name."""
        return self.dense(name, x, self.arrays[f"{name}/kernel"], self.arrays[f"{name}/bias"])

    def norm(self, name: str, x: str) -> str:
        """The layer norm of that name."""
        parts = [
            self.constant(f"{name}/{part}", self.arrays[f"{name}/{part}"])
            for part in ("scale", "shift")
        ]
        return self.add("LayerNormalization", f"{name}/normed", [x, *parts], epsilon=EPSILON)

    def embed(self, shape: BranchShape, roots: str) -> str:
        """Frames (1, T, F, 2) to tokens."""
        stem, inputs = shape.stem, 2 * shape.bins
        flat = self.reshape(f"{stem}/frames", roots, [self.frames, -1])
        ends = [self.constant(f"{stem}/{name}", np.array([n])) for name, n in
                (("first", 0), ("behind", inputs), ("axis", 1))]  # fmt: skip
        seen = self.add("Slice", f"{stem}/seen", [flat, *ends])
        kernel = self.arrays[f"{stem}/embed/kernel"].reshape(inputs, -1)
        tokens = self.dense(f"{stem}/embed", seen, kernel, self.arrays[f"{stem}/embed/bias"])
        places = self.constant(f"{stem}/positions", positions(shape.channels)[: self.frames])
        return self.add("Add", f"{stem}/placed", [self.norm(f"{stem}/start", tokens), places])

    def cross(self, tokens: dict[str, str]) -> dict[str, str]:
        """Vocals and drums attend to one another, as both were before."""
        vocals, drums = tokens[VOCALS], tokens[DRUMS]
        return tokens | {
            VOCALS: self.block(f"{VOCALS}/{CROSS}", vocals, drums),
            DRUMS: self.block(f"{DRUMS}/{CROSS}", drums, vocals),
        }

    def block(self, name: str, tokens: str, other: str | None) -> str:
        """An attention, to `other` tokens or to themselves, and what follows it."""
        structure = self.structure
        heads = structure.bass_heads if name.startswith(BASS) else structure.heads
        kernel, bias = (self.arrays[f"{name}/attend/qkv/{part}"] for part in ("kernel", "bias"))
        channels = len(kernel)
        own = self.norm(f"{name}/attend/norm", tokens)
        looked_at = own if other is None else self.norm(f"{name}/attend/other", other)

        def part(which: str, x: str, place: int, axes: list[int]) -> str:
            """Queries, keys or values, head by head."""
            columns = slice(place * channels, (place + 1) * channels)
            sums = self.dense(f"{name}/{which}", x, kernel[:, columns], bias[columns])
            by_head = self.reshape(f"{name}/{which}/heads", sums, [self.frames, heads, -1])
            return self.add("Transpose", f"{name}/{which}/by head", [by_head], perm=axes)

        query = part("query", own, 0, [1, 0, 2])
        key, value = part("key", looked_at, 1, [1, 2, 0]), part("value", looked_at, 2, [1, 0, 2])
        scores = self.add("MatMul", f"{name}/scores", [query, key])
        scale = self.constant(f"{name}/scale", np.array(np.sqrt(heads / channels)))
        shares = self.add(
            "Softmax",
            f"{name}/shares",
            [self.add("Mul", f"{name}/scaled", [scores, scale])],
            axis=2,
        )
        gathered = self.add("MatMul", f"{name}/gathered", [shares, value])
        gathered = self.add("Transpose", f"{name}/by token", [gathered], perm=[1, 0, 2])
        gathered = self.reshape(f"{name}/joined", gathered, [self.frames, channels])
        out = self.dense_layer(f"{name}/attend/out", gathered)
        tokens = self.add("Add", f"{name}/attended", [tokens, out])
        wide = self.dense_layer(f"{name}/feed/up", self.norm(f"{name}/feed/norm", tokens))
        curved = self.add("Gelu", f"{name}/feed/gelu", [wide], approximate="tanh")
        fed = self.dense_layer(f"{name}/feed/down", curved)
        return self.add("Add", f"{name}/fed", [tokens, fed])

    def unembed(self, shape: BranchShape, tokens: str) -> str:
        """Tokens to logits, (1, 2, T, bins)."""
        stem, inputs = shape.stem, 2 * shape.bins
        kernel = self.arrays[f"{stem}/unembed/kernel"].reshape(inputs, -1).T
        bias = self.arrays[f"{stem}/unembed/bias"].reshape(-1)
        logits = self.dense(f"{stem}/unembed", self.norm(f"{stem}/end", tokens), kernel, bias)
        logits = self.reshape(f"{stem}/logits", logits, [1, self.frames, shape.bins, 2])
        return self.add("Transpose", f"{stem}/by channel", [logits], perm=[0, 3, 1, 2])

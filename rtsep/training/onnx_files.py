"""A trained model as ONNX: one file per net, for phones and other programs.

magnitudes (1, 2, frames, bins) in; masks of the same shape out, or logits, where the model's nets share
a softmax. What surrounds a net (transform, ratio mask) is told in docs/training.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rtsep.errors import MissingLibraryError, UsageError
from rtsep.nets.registry import D3NET, PLAYER_TRANSFORMER, PLAYER_UNET, UNET, ModelConfig
from rtsep.training.disk import write_file
from rtsep.weights.own_models import RUN_FILE, config_of, read_own

# A configuration, the canonical arrays of a net, frames and bins, to the file's content.
ToOnnx = Callable[[ModelConfig, Mapping[str, np.ndarray], int, int], bytes]

WITH_ONNX = (UNET, PLAYER_UNET, D3NET, PLAYER_TRANSFORMER)


def check_onnx(kind: str) -> None:
    """Raise UsageError where nets of this kind cannot be written as ONNX."""
    if kind not in WITH_ONNX:
        raise UsageError(
            f"nets of kind {kind} cannot be written as ONNX, only {' and '.join(WITH_ONNX)}"
        )


def onnx_writer(kind: str) -> ToOnnx:
    """What writes nets of this kind; raises UsageError, and MissingLibraryError without onnx."""
    check_onnx(kind)
    try:
        if kind == UNET:
            from rtsep.training.unet_onnx import unet_onnx

            return unet_onnx
        if kind == PLAYER_TRANSFORMER:
            from rtsep.training.player_transformer_onnx import player_transformer_onnx

            return player_transformer_onnx
        if kind == PLAYER_UNET:
            from rtsep.training.player_unet_onnx import player_unet_onnx

            return player_unet_onnx
        from rtsep.training.d3net_onnx import d3net_onnx

        return d3net_onnx
    except ImportError as error:
        raise MissingLibraryError(f"ONNX files need onnx ({error}): pip install onnx") from error


def write_onnx(run: Path, frames: int) -> list[Path]:
    """Write the nets of the model in the folder `run` beside it; returns the files.

    frames: of a window; an ONNX file is for one length. Raises MissingLibraryError
    without onnx, TrainingError where the disk is full, WeightsError.
    """
    provenance, stems = read_own(run)
    config = config_of(provenance.model, provenance, run / RUN_FILE)
    to_onnx = onnx_writer(config.kind)
    written = []
    for stem, arrays in stems.items():
        content = to_onnx(config, arrays, frames, config.bins)
        path = run / f"{stem}.onnx"
        write_file(path, content)
        written.append(path)
    return written

"""A trained model as ONNX: one file per net, for phones and other programs.

magnitudes (1, 2, frames, bins) in; masks of the same shape out, or logits, where the model's nets share
a softmax. What surrounds a net (transform, ratio mask) is told in docs/training.md.
"""

from __future__ import annotations

from pathlib import Path

from rtsep.errors import MissingLibraryError
from rtsep.training.disk import write_file
from rtsep.weights.own_models import RUN_FILE, config_of, read_own


def write_onnx(run: Path, frames: int) -> list[Path]:
    """Write the nets of the model in the folder `run` beside it; returns the files.

    frames: of a window, a multiple of 64; an ONNX file is for one length. Raises MissingLibraryError
    without onnx, TrainingError where the disk is full, WeightsError.
    """
    try:
        from rtsep.training.unet_onnx import unet_onnx
    except ImportError as error:
        raise MissingLibraryError(f"ONNX files need onnx ({error}): pip install onnx") from error
    provenance, stems = read_own(run)
    config = config_of(provenance.model, provenance, run / RUN_FILE)
    written = []
    for stem, arrays in stems.items():
        content = unet_onnx(config, arrays, frames, config.bins)
        path = run / f"{stem}.onnx"
        write_file(path, content)
        written.append(path)
    return written

"""Weights of a few kilobytes in every layout, and what reading damaged copies of them may give.

The networks' shapes are made small, so that a file has some kilobytes; the readers are the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from rtsep.errors import WeightsError
from rtsep.nets import arrays as shapes
from rtsep.nets.registry import find_model
from rtsep.weights import spleeter_dat
from rtsep.weights.importing import read_any
from rtsep.weights.spleeter_variables import stems_from_variables
from rtsep.weights.store import Provenance, write_weights
from tests.weights.made_up_weights import (
    made_up_arrays,
    made_up_manifest,
    made_up_variables,
    write_bundle,
    write_dat_set,
    write_release_archive,
    write_wheel,
)

Stems = Mapping[str, Mapping[str, np.ndarray]]

TWO, FOUR = "spleeter:2stems", "spleeter:4stems"
EQUAL, CHANGED, REFUSED = "accepted equal", "accepted changed", "refused"


def make_nets_small() -> None:
    """Let the readers expect a network of a few channels."""
    shapes.ENCODER_CHANNELS = (2, 2, 1, 2, 1, 2, 1)
    shapes.DECODER_INPUTS = (1, 2, 2, 1, 2, 1)
    shapes.DECODER_OUTPUTS = (1, 2, 1, 2, 1, 1)
    spleeter_dat.FILE_BYTES = 4 * sum(int(np.prod(s)) for s in shapes.stem_shapes().values())


class Weights:
    """Small weights in every layout, below `folder`, and what reading them should give."""

    def __init__(self, folder: Path):
        two, four = find_model(TWO), find_model(FOUR)
        self.stems = {stem: made_up_arrays(n) for n, stem in enumerate(two.stems)}
        self.checkpoint = folder / "checkpoint"
        self.variables = made_up_variables(list(self.stems.values()))
        data_sha256 = write_bundle(self.checkpoint, self.variables)
        self.manifest = made_up_manifest(TWO, data_sha256)
        self.entry = self.manifest.models[TWO]
        # As the checkpoint's batch norm folds, which rounds once more than `stems` does.
        self.folded = stems_from_variables(self.variables, two.stems, "made up")
        self.archive = folder / "2stems.tar.gz"
        write_release_archive(self.archive, self.checkpoint)
        self.wheel = write_wheel(folder, self.checkpoint)
        self.dats = folder / "dats"
        self.four = {stem: made_up_arrays(n) for n, stem in enumerate(four.stems)}
        write_dat_set(self.dats, self.four, True, ".dat")
        self.converted = folder / "ours.safetensors"
        provenance = Provenance(TWO, ",".join(two.stems), "x", data_sha256, "MIT", "nobody")
        write_weights(self.converted, self.stems, provenance)

    def read(self, path: Path, work: Path, allow_unknown: bool = False) -> Stems:
        """As `rtsep-weights import` reads it."""
        return read_any(path, self.entry, self.manifest, work, allow_unknown).stems


def judge(read: Callable[[], Stems], expected: Stems, may_change: Stems | None = None) -> str:
    """Read; what is accepted must be `expected`, or else exactly `may_change`."""
    try:
        found = read()
    except WeightsError as error:
        assert "\n" not in str(error)
        return REFUSED
    for stem, arrays in found.items():
        for name, shape in shapes.stem_shapes().items():
            assert arrays[name].shape == shape and arrays[name].dtype == np.float32, (stem, name)
            assert np.isfinite(arrays[name]).all(), (stem, name)
    if equal(found, expected):
        return EQUAL
    assert may_change is not None and equal(found, may_change), "other arrays than the file holds"
    return CHANGED


def equal(one: Stems, other: Stems) -> bool:
    return tuple(one) == tuple(other) and all(
        one[stem].keys() == other[stem].keys()
        and all(np.array_equal(one[stem][name], other[stem][name]) for name in one[stem])
        for stem in one
    )

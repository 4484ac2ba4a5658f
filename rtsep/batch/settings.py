"""What is asked for of every recording of a batch alike, as a record that goes to other processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace

from rtsep.nets.precision import find_precision
from rtsep.weights.checksum import sha256_of
from rtsep.weights.library import is_installed, model_named, weights_path
from rtsep.weights.store import sidecar_of

# What changes no sample.
_WITHOUT_EFFECT = ("jobs",)


@dataclass(frozen=True)
class BatchSettings:
    """The options of a batch that its stems follow from.

    model, stems, mask_extension, auto_level, precision, jobs: see Separator; jobs are those of each
    process.  format, bit_depth, start_s, duration_s, track, strict: see SeparationJob.
    """

    model: str
    stems: tuple[str, ...]
    mask_extension: str = "zeros"
    auto_level: bool = False
    precision: str | None = None
    jobs: int = 1
    format: str = "wav"
    bit_depth: str | None = None
    start_s: float | None = None
    duration_s: float | None = None
    track: int | None = None
    strict: bool = False

    def resolved(self) -> BatchSettings:
        """The same with the precision that processes of this machine would take."""
        return replace(self, precision=find_precision(self.precision, paced=False).precision)

    def digest(self) -> str:
        """SHA-256 of all that changes a stem's samples: options, and the weights if they are there."""
        values = asdict(self)
        for name in _WITHOUT_EFFECT:
            del values[name]
        weights_name = model_named(self.model).weights_name
        if is_installed(weights_name):
            values["weights"] = sha256_of(sidecar_of(weights_path(weights_name)))
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

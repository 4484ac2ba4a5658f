"""A case of the peers' comparison: what is computed, and the files that every contender reads.

A folder holds case.json (NetCase), magnitudes.npy, per stem its weights STEM.npz, and STEM.onnx
where a contender reads that. Contenders are made from the folder alone, so that one can run in a
process of its own, with nothing else loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.nets.kinds import kind_of, net_name, nets_of
from rtsep.nets.registry import UNET, ModelConfig
from rtsep.weights.library import model_named
from rtsep.weights.store import StemArrays
from rtsep_bench.sound import music_magnitudes

CASE_FILE, MAGNITUDES_FILE = "case.json", "magnitudes.npy"


@dataclass(frozen=True)
class NetCase:
    """nets: what each of the nets computed is called (kinds.net_name); one may come twice.

    threads: nets computed at the same time, each on one thread.
    """

    name: str
    frames: int
    nets: tuple[str, ...]
    threads: int
    model: str
    bins: int

    @property
    def config(self) -> ModelConfig:
        """The model's configuration, with the case's bins."""
        return replace(model_named(self.model), bins=self.bins)


def cases_of(config: ModelConfig, bins: int, threads: int) -> dict[str, NetCase]:
    """The known cases by name; `threads` is for the one with four nets."""
    names = [net_name(net) for net in nets_of(config)]
    first = names[0]
    # Four nets of a model with two stems: each twice, with its own copy of the weights.
    four = tuple(names[index % len(names)] for index in range(4))
    if config.kind != UNET:
        frames = kind_of(config).frames
        one = NetCase(f"{config.kind}-T{frames}", frames, (first,), 1, config.name, bins)
        # One net for all stems is run on as many windows at once as there are threads.
        several = ("four", four) if len(names) > 1 else ("parallel", (first,) * threads)
        at_once = replace(one, name=f"{several[0]}-{one.name}", nets=several[1], threads=threads)
        return {case.name: case for case in (one, at_once)}
    cases = [
        NetCase("unet-T128", 128, (first,), 1, config.name, bins),
        NetCase("four-unets-T128", 128, four, threads, config.name, bins),
        NetCase("unet-T512", 512, (first,), 1, config.name, bins),
        NetCase("unet-T64", 64, (first,), 1, config.name, bins),
    ]
    return {case.name: case for case in cases}


def write_case(
    case: NetCase, stems: Mapping[str, StemArrays], folder: Path, with_onnx: bool
) -> None:
    """Write the files of a case."""
    (folder / CASE_FILE).write_text(json.dumps(asdict(case)))
    np.save(folder / MAGNITUDES_FILE, music_magnitudes(case.frames, case.bins))
    for stem in dict.fromkeys(case.nets):
        arrays: dict[str, Any] = dict(stems[stem])
        np.savez(weights_file(folder, stem), **arrays)
        if with_onnx:
            from rtsep.training.onnx_files import onnx_writer

            model = onnx_writer(case.config.kind)(case.config, stems[stem], case.frames, case.bins)
            onnx_file(folder, stem).write_bytes(model)


def read_case(folder: Path) -> NetCase:
    """The case whose files are in `folder`."""
    case = NetCase(**json.loads((folder / CASE_FILE).read_text()))
    return replace(case, nets=tuple(case.nets))


def read_magnitudes(folder: Path) -> NDArray[np.float32]:
    """What the nets are shown, (frames, bins, 2)."""
    return np.load(folder / MAGNITUDES_FILE)


def read_arrays(folder: Path, stem: str) -> StemArrays:
    """The canonical arrays of a stem."""
    with np.load(weights_file(folder, stem)) as stored:
        return {name: stored[name] for name in stored.files}


def weights_file(folder: Path, stem: str) -> Path:
    """Where a stem's arrays are."""
    return folder / f"{stem}.npz"


def onnx_file(folder: Path, stem: str) -> Path:
    """Where a stem's net is, as an ONNX model for exactly the case's frames and bins."""
    return folder / f"{stem}.onnx"

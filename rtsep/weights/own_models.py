"""Models of one's own, trained by rtsep-train: what they are called, and what their file says of them.

The models that rtsep knows stand in `nets/registry.py`. One's own is described by the header of its
file of weights (network.py).
"""

from __future__ import annotations

import re
from pathlib import Path

from rtsep.errors import UsageError, WeightsError
from rtsep.nets.registry import MODELS, REST, ModelConfig
from rtsep.weights.network import Network
from rtsep.weights.store import Provenance, StemArrays, read_provenance, read_weights, sidecar_of

# What rtsep-train writes into its folder, beside the checkpoint.
RUN_FILE = "model.safetensors"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_ -]{0,63}")


def check_name(name: str) -> str:
    """Return `name`; raises UsageError where one's own model cannot be called so."""
    taken = {model.replace(":", "-").lower() for model in MODELS}
    if _NAME.fullmatch(name) is None or name.lower() in taken:
        raise UsageError(
            f"a model of your own cannot be called {name!r}: letters, digits, _ . - make a name; rtsep's"
            f" models are {', '.join(MODELS)}"
        )
    return name


def check_stem_name(stem: str) -> str:
    """Return `stem`; raises UsageError where no stem can be called so."""
    if _STEM.fullmatch(stem) is None or stem.startswith("no_") or stem == REST:
        raise UsageError(
            f"a stem cannot be called {stem!r}: letters, digits, space, _ and - make a name; no_... and"
            f" {REST} mean what others leave"
        )
    return stem


def config_of(name: str, provenance: Provenance, path: Path) -> ModelConfig:
    """The configuration of one's own model, which programs know as `name`.

    path: of the file, for messages. Raises WeightsError where the header says nothing usable.
    """
    try:
        nets = tuple(check_stem_name(stem) for stem in provenance.stems.split(","))
        config = Network.from_text(provenance.network).config(name, nets)
        known = len(set(nets)) == len(nets) and len(config.stems) > 1
    except (ValueError, TypeError, RecursionError, UsageError):
        known = False
    if not known:
        raise WeightsError(
            f"{path} does not say what nets it is for: import the folder of its training again"
        )
    return config


def read_own(path: Path) -> tuple[Provenance, dict[str, StemArrays]]:
    """The weights of one's own in `path`: a folder of rtsep-train, or a file of weights.

    Raises WeightsError where there are none, or they are damaged.
    """
    file = path / RUN_FILE if path.is_dir() else path
    if not file.is_file():
        raise WeightsError(
            f"{path} holds no model of your own: name the folder of a training, with its {RUN_FILE}"
        )
    if not sidecar_of(file).exists():
        raise WeightsError(f"{file} has no {sidecar_of(file).name} beside it: copy that file too")
    provenance = read_provenance(file)
    if not provenance.network:
        raise WeightsError(
            f"{file} holds the weights of {provenance.model}, no model of your own: import it as"
            f" {provenance.model}"
        )
    config_of(provenance.model, provenance, file)
    return read_weights(file, provenance.model)

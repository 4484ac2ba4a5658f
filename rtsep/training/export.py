"""What a training gives: a file of weights that every rtsep program runs without torch."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from rtsep import __version__
from rtsep.errors import TrainingError, WeightsError
from rtsep.nets.kinds import net_name, nets_of
from rtsep.training.recipe import Recipe
from rtsep.training.torch_nets import Nets
from rtsep.weights.network import Network
from rtsep.weights.own_models import RUN_FILE
from rtsep.weights.store import Provenance, write_weights

UNKNOWN = "unknown"


def write_model(
    run: Path, recipe: Recipe, nets: Nets, what: str, licences: tuple[str, str]
) -> Path:
    """Write the model of the training in the folder `run`; returns the file.

    what: the training in words, for `rtsep-weights list`.  licences: licence and copyright of the
    weights that it began with, UNKNOWN without.  Raises WeightsError if the disk does not take it, or a
    weight is no number.
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", run.resolve().name).strip("-._") or "own"
    config = recipe.config(name)
    text = json.dumps(recipe.as_json(), sort_keys=True).encode()
    provenance = Provenance(
        model=name,
        stems=",".join(config.net_stems),
        source=f"rtsep-train {__version__}: {what}",
        source_sha256=hashlib.sha256(text).hexdigest(),
        licence=licences[0],
        copyright=licences[1],
        network=Network.of(config).as_text(),
    )
    path = run / RUN_FILE
    stems = {net_name(net): nets[index].arrays() for index, net in enumerate(nets_of(config))}
    try:
        write_weights(path, stems, provenance)
    except WeightsError as error:
        if isinstance(error.__cause__, OSError):
            raise TrainingError(
                f"cannot write {path}: {error.__cause__.strerror}: make room"
            ) from error
        raise
    return path

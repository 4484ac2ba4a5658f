"""Trainings as Spleeter describes them: its JSON configurations and its lists of songs in CSV.

A list has a row for each song, with the columns mix_path, STEM_path for every stem, and duration. Paths
are below the folder of the data set. What a configuration says of nets and training is taken as it is
meant; what it says of Spleeter's own machinery (its caches, how many pieces it cuts songs into) has no
meaning here and is told.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtsep.constants import FRAME_LENGTH, HOP, SAMPLE_RATE
from rtsep.dsp.channels import NET_CHANNELS
from rtsep.errors import UsageError
from rtsep.files.song_files import SongFiles, Sound

MIX, PATH = "mix", "_path"
DURATION = "duration"
# What a configuration must say where it says it: the nets here take nothing else.
FIXED = {
    "sample_rate": SAMPLE_RATE,
    "frame_length": FRAME_LENGTH,
    "frame_step": HOP,
    "n_channels": NET_CHANNELS,
    "mix_name": MIX,
    "optimizer": "Adam",
}
# Its keys, and the field of Recipe each is.
FIELDS = {
    "T": "frames",
    "F": "bins",
    "learning_rate": "learning_rate",
    "batch_size": "batch",
    "train_max_steps": "steps",
    "save_checkpoints_steps": "every",
    "random_seed": "seed",
}
WHOLE = ("frames", "bins", "batch", "steps", "every", "seed")
# Of Spleeter's machinery, or of separation and not of training.
WITHOUT_MEANING = (
    "model_dir", "training_cache", "validation_cache", "throttle_secs", "save_summary_steps",
    "n_chunks_per_song", "chunk_duration", "separation_exponent", "mask_extension",
)  # fmt: skip
TAKEN = ("train_csv", "validation_csv", "instrument_list", "model")
OUTPUTS = {"unet.unet": "sigmoid", "unet.softmax_unet": "softmax"}
LOSSES = {"L1_mask": "magnitude"}
# By the names of Spleeter's layers; what it does not know it takes for the first of them.
ENCODER_ACTIVATIONS = {"LeakyReLU": "leaky_relu", "ReLU": "relu", "ELU": "elu"}
DECODER_ACTIVATIONS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu"}


@dataclass(frozen=True)
class SpleeterConfiguration:
    """What a configuration says.

    recipe: fields of Recipe but for the stems.  notes: what is not used, in words.
    """

    stems: tuple[str, ...]
    recipe: dict[str, Any]
    train_list: Path | None
    held_out_list: Path | None
    notes: list[str] = field(default_factory=list)


def read_configuration(path: Path) -> SpleeterConfiguration:
    """The configuration in the file. Raises UsageError where it cannot be run here."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} is no configuration of Spleeter: it holds no object")
    for key, value in FIXED.items():
        if values.get(key, value) != value:
            raise UsageError(
                f"{path}: {key} is {values[key]!r}: the nets of rtsep take {value!r} only"
            )
    stems = values.get("instrument_list")
    if not isinstance(stems, list) or not all(isinstance(stem, str) for stem in stems):
        raise UsageError(f"{path}: instrument_list must be a list of names: got {stems!r}")
    recipe = {
        name: _number(path, values, key, name) for key, name in FIELDS.items() if key in values
    }
    recipe |= _network(path, values.get("model", {}))
    known = {*FIXED, *FIELDS, *WITHOUT_MEANING, *TAKEN}
    idle = [key for key in values if key in WITHOUT_MEANING or key not in known]
    notes = [f"{path.name}: not used here: {', '.join(idle)}"] if idle else []
    train, held_out = (
        _beside(path, values[key]) if values.get(key) else None
        for key in ("train_csv", "validation_csv")
    )
    return SpleeterConfiguration(tuple(stems), recipe, train, held_out, notes)


def read_list(path: Path, folder: Path, stems: Sequence[str]) -> list[SongFiles]:
    """The songs of a list, whose paths are below `folder`. Raises UsageError naming the row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no list of songs: {error}") from error
    if not rows:
        raise UsageError(f"{path} lists no song")
    songs = []
    for number, row in enumerate(rows, 2):
        sounds = {}
        for name in (MIX, *stems):
            place = row.get(name + PATH)
            if not place:
                raise UsageError(f"{path}, line {number}: there is no {name}{PATH}")
            sounds[name] = Sound(folder / place)
            if not sounds[name].path.is_file():
                raise UsageError(
                    f"{path}, line {number}: {sounds[name].path} is not there: name the folder that"
                    " the list's paths are below"
                )
        mixture = sounds.pop(MIX)
        songs.append(SongFiles(_name(row[MIX + PATH]), sounds, mixture))
    return songs


def _network(path: Path, model: Any) -> dict[str, Any]:
    parameters = model.get("params", {}) if isinstance(model, dict) else None
    if not isinstance(parameters, dict):
        raise UsageError(f"{path}: model must be an object with type and params: got {model!r}")
    kind = model.get("type", "unet.unet")
    if kind not in OUTPUTS:
        raise UsageError(
            f"{path}: the model is of type {kind!r}: rtsep has {' and '.join(OUTPUTS)} only"
        )
    filters = parameters.get("conv_n_filters")
    if filters not in (None, [16, 32, 64, 128, 256, 512]):
        raise UsageError(f"{path}: conv_n_filters is {filters}: rtsep's nets have 16 to 512 only")
    loss = model.get("loss_type", parameters.get("loss_type", "L1_mask"))
    if loss not in LOSSES:
        raise UsageError(
            f"{path}: loss_type is {loss!r}: rtsep has {' and '.join(LOSSES)} of Spleeter's"
        )
    return {
        "output": OUTPUTS[kind],
        "loss": LOSSES[loss],
        "encoder_activation": ENCODER_ACTIVATIONS.get(
            parameters.get("conv_activation", ""), "leaky_relu"
        ),
        "decoder_activation": DECODER_ACTIVATIONS.get(
            parameters.get("deconv_activation", ""), "relu"
        ),
    }


def _number(path: Path, values: dict[str, Any], key: str, name: str) -> int | float:
    value = values[key]
    kinds = (int,) if name in WHOLE else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise UsageError(f"{path}: {key} must be a number: got {value!r}")
    return value


def _beside(path: Path, place: Any) -> Path:
    """A list's path: from where the program runs, as Spleeter has it, or from the configuration."""
    if not isinstance(place, str):
        raise UsageError(f"{path}: a list's path must be text: got {place!r}")
    for folder in (Path(), path.parent, path.parent.parent):
        if (folder / place).is_file():
            return folder / place
    return Path(place)


def _name(mix_path: str) -> str:
    """A song's name: its folder's, or its file's where that says more than "mixture"."""
    path = Path(mix_path)
    return path.parent.name or path.stem

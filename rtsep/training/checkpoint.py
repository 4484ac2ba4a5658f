"""Checkpoints: all that a training needs to go on as if it had never stopped, in one file.

The file appears whole or not at all, in place of the one before. It is read without running any code
that it might hold.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rtsep.errors import TrainingError, UsageError
from rtsep.training.disk import write_file
from rtsep.training.recipe import Recipe

CHECKPOINT_FILE = "checkpoint.pt"
FORMAT = 1


@dataclass
class Checkpoint:
    """A moment of a training.

    step: steps done.  nets, average, optimiser: state dictionaries; average None without one.
    random: state of torch's generator.  best: the best mean SDR so far.  best_step: when that was.
    worse: evaluations since.
    """

    step: int
    nets: dict[str, Any]
    average: dict[str, Any] | None
    optimiser: dict[str, Any]
    random: torch.Tensor
    best: float | None
    best_step: int
    worse: int


def checkpoint_path(run: Path) -> Path:
    """Where the checkpoint of the training in this folder stands."""
    return run / CHECKPOINT_FILE


def write_checkpoint(run: Path, recipe: Recipe, checkpoint: Checkpoint) -> None:
    """Put the checkpoint in place of the one before.

    Raises TrainingError if the disk does not take it; the one before stays.
    """
    content = io.BytesIO()
    torch.save({"format": FORMAT, "recipe": recipe.as_json(), **vars(checkpoint)}, content)
    path = checkpoint_path(run)
    kept = "; the checkpoint before is kept" if path.exists() else ""
    write_file(path, content.getbuffer(), kept)


def read_checkpoint(run: Path, recipe: Recipe) -> Checkpoint:
    """The checkpoint in the folder, to go on with under `recipe`.

    Raises UsageError where it is of another recipe, TrainingError where it cannot be read.
    """
    path = checkpoint_path(run)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainingError(f"{run} holds no checkpoint to go on from: begin anew") from None
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise TrainingError(
            f"{path} is no checkpoint, or a damaged one: begin anew in another folder"
        ) from error
    try:
        if content.pop("format") != FORMAT:
            raise TrainingError(f"{path} is of another version of rtsep: begin anew")
        before = Recipe.from_json(content.pop("recipe"))
        checkpoint = Checkpoint(**content)
    except (AttributeError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is no checkpoint of rtsep-train: begin anew") from error
    different = recipe.differences(before)
    if different:
        raise UsageError(
            f"{path} is of another training: its {different[0]}; give the same options as before, or"
            " begin anew in another folder"
        )
    return checkpoint

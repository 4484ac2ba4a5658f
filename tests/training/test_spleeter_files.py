"""Spleeter's own configurations and lists of songs run unchanged in meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtsep.errors import UsageError
from rtsep.training.recipe import Recipe
from rtsep.training.spleeter_files import read_configuration, read_list

# As the official musdb_config.json has it.
MUSDB: dict[str, Any] = {
    "train_csv": "configs/musdb_train.csv",
    "validation_csv": "configs/musdb_validation.csv",
    "model_dir": "musdb_model",
    "mix_name": "mix",
    "instrument_list": ["vocals", "drums", "bass", "other"],
    "sample_rate": 44100,
    "frame_length": 4096,
    "frame_step": 1024,
    "T": 512,
    "F": 1024,
    "n_channels": 2,
    "n_chunks_per_song": 40,
    "separation_exponent": 2,
    "mask_extension": "zeros",
    "learning_rate": 1e-4,
    "batch_size": 4,
    "training_cache": "cache/training",
    "validation_cache": "cache/validation",
    "train_max_steps": 200000,
    "throttle_secs": 1800,
    "random_seed": 3,
    "save_checkpoints_steps": 1000,
    "save_summary_steps": 5,
    "model": {
        "type": "unet.unet",
        "params": {"conv_activation": "ELU", "deconv_activation": "ELU"},
    },
}
STEMS = MUSDB["instrument_list"]


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "configs" / "config.json"
    path.parent.mkdir(exist_ok=True)
    values = {name: value for name, value in (MUSDB | changes).items() if value is not None}
    path.write_text(json.dumps(values))
    return path


def test_the_official_configuration_is_the_recipe_that_it_describes(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "configs" / "musdb_train.csv").touch()
    found = read_configuration(path)
    assert found.stems == tuple(STEMS)
    # Beside the configuration's folder, where it is not where the program runs.
    assert found.train_list == tmp_path / "configs" / "musdb_train.csv"
    assert found.held_out_list == Path("configs/musdb_validation.csv")
    recipe = Recipe(stems=tuple((stem, (stem,)) for stem in found.stems), **found.recipe)
    assert recipe == Recipe(
        stems=recipe.stems,
        frames=512,
        bins=1024,
        encoder_activation="elu",
        decoder_activation="elu",
        output="sigmoid",
        steps=200_000,
        batch=4,
        every=1000,
        loss="magnitude",
        learning_rate=1e-4,
        dropout=0.5,
        seed=3,
    )
    (note,) = found.notes
    assert "n_chunks_per_song" in note and "training_cache" in note and "batch_size" not in note


def test_what_it_leaves_open_is_as_in_spleeter(tmp_path: Path) -> None:
    found = read_configuration(
        written(tmp_path, model={"type": "unet.softmax_unet"}, train_csv=None)
    )
    assert found.recipe["output"] == "softmax"
    assert found.recipe["encoder_activation"] == "leaky_relu"
    assert found.recipe["decoder_activation"] == "relu"
    assert found.train_list is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sample_rate": 48000}, "sample_rate is 48000: the nets of rtsep take 44100 only"),
        ({"n_channels": 1}, "n_channels is 1"),
        ({"optimizer": "SGD"}, "optimizer is 'SGD'"),
        ({"model": {"type": "blstm.blstm"}}, "of type 'blstm.blstm'"),
        ({"model": {"params": {"conv_n_filters": [8]}}}, "conv_n_filters"),
        ({"model": {"loss_type": "weighted_L1_mask"}}, "loss_type is 'weighted_L1_mask'"),
        ({"instrument_list": None}, "instrument_list must be a list of names: got None"),
        ({"T": "512"}, "T must be a number: got '512'"),
        ({"batch_size": 2.5}, "batch_size must be a number: got 2.5"),
    ],
)
def test_what_cannot_be_run_here_is_refused(changes: dict, told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=told):
        read_configuration(written(tmp_path, **changes))


@pytest.mark.parametrize("content", ["{", "[1]", "nothing"])
def test_what_is_no_configuration_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"x\.json is no "):
        read_configuration(path)


def test_a_list_names_mixture_and_stems(tmp_path: Path) -> None:
    for name in ("mixture", *STEMS):
        path = tmp_path / "train" / "A - B" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    columns = ["mix_path", *(f"{stem}_path" for stem in STEMS), "duration"]
    row = [f"train/A - B/{name}.wav" for name in ("mixture", *STEMS)] + ["171.2"]
    path = tmp_path / "list.csv"
    path.write_text(",".join(columns) + "\n" + ",".join(row) + "\n")
    (song,) = read_list(path, tmp_path, STEMS)
    assert song.name == "A - B" and list(song.stems) == STEMS
    assert song.mixture is not None and song.mixture.path.name == "mixture.wav"
    with pytest.raises(UsageError, match=r"line 2: there is no piano_path"):
        read_list(path, tmp_path, ["piano"])
    with pytest.raises(UsageError, match=r"line 2: .* is not there"):
        read_list(path, tmp_path / "train", STEMS)
    path.write_text(",".join(columns) + "\n")
    with pytest.raises(UsageError, match="lists no song"):
        read_list(path, tmp_path, STEMS)

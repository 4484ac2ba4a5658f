"""`rtsep-train`: networks of one's own, on one's own stems."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtsep import __version__
from rtsep.cli.common import run
from rtsep.cli.surroundings import prepare
from rtsep.cli.terminal.progress import download_progress
from rtsep.cli.terminal.training_progress import show_decoding, show_training
from rtsep.cli.train_arguments import PROGRAM, augmentation_of, build_parser
from rtsep.errors import MissingLibraryError, TrainingError, UsageError
from rtsep.files.song_files import SongFiles
from rtsep.nets.kinds import KINDS
from rtsep.nets.registry import UNET
from rtsep.system.part_file import write_whole
from rtsep.training.layouts import Songs, find_songs, parse_stems, stems_of
from rtsep.training.recipe import DEFAULT_STEPS, Recipe
from rtsep.training.spleeter_files import SpleeterConfiguration, read_configuration, read_list

NOBODY = "none"
EVERY_MAX = 1000
# Of songs that nobody has divided, one in so many is held out.
HELD_OUT_OF = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (those of the command line); return its exit status."""
    prepare(PROGRAM)
    given = list(sys.argv[1:] if argv is None else argv)
    arguments = build_parser().parse_args(given)
    return run(PROGRAM, lambda: train(arguments, given))


def train(arguments: argparse.Namespace, given: Sequence[str]) -> int:
    """Do what the arguments say; return the exit status."""
    _check_torch()
    configuration = None if arguments.spleeter is None else read_configuration(arguments.spleeter)
    songs = _songs(arguments, configuration)
    recipe = _recipe(arguments, configuration, songs)
    if arguments.onnx:
        from rtsep.training.onnx_files import check_onnx

        check_onnx(recipe.network)
    training, held_out = _divided(songs, arguments.held_out, recipe)
    from rtsep.training.trainer import Trainer, find_device

    device = find_device(arguments.device)
    _begin(arguments.output, recipe, training, held_out, arguments.resume)
    notes = [*songs.notes, *(configuration.notes if configuration else [])]
    for note in notes:
        _say(note)
    from rtsep.training.song_cache import decode_songs

    cache = arguments.cache or arguments.output / "songs"
    with show_decoding(arguments.quiet) as progress:
        decoded = decode_songs(training, cache, _say, progress)
        judged = decode_songs(held_out, cache, _say, progress) if held_out else []
    if not arguments.quiet:
        _describe(recipe, decoded, judged, str(device))
    if arguments.quiet:
        trainer = Trainer(recipe, arguments.output, decoded, judged, device)
    else:
        with download_progress() as fetching:
            trainer = Trainer(recipe, arguments.output, decoded, judged, device, fetching)
    if arguments.resume:
        trainer.resume()
    again = shlex.join([PROGRAM, *(word for word in given if word != "--resume"), "--resume"])
    try:
        with show_training(recipe, trainer.step, arguments.quiet) as watcher:
            trainer.train(watcher)
    except KeyboardInterrupt:
        _say(f"stopped after step {trainer.step}; to go on: {again}")
        raise
    if arguments.onnx:
        from rtsep.training.onnx_files import write_onnx

        for path in write_onnx(arguments.output, recipe.frames):
            _tell(arguments.quiet, f"{path}")
    _tell(
        arguments.quiet,
        f"{arguments.output}: {trainer.step} steps done; to use it: rtsep-weights import"
        f" {shlex.quote(str(arguments.output))} --name mine, then -m mine",
    )
    return 0


def _check_torch() -> None:
    # torch's threads meet several hundred times a step. Those that come first shall sleep, not spin:
    # beside other programs they would spin for what the late one needs to get on.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingLibraryError(
            f"{PROGRAM} needs torch ({error}): pip install 'rtsep[train]'"
        ) from error


def _songs(arguments: argparse.Namespace, configuration: SpleeterConfiguration | None) -> Songs:
    if configuration is None or configuration.train_list is None:
        songs = find_songs(arguments.data)
    else:
        held_out = configuration.held_out_list
        songs = Songs(
            read_list(configuration.train_list, arguments.data, configuration.stems),
            None if held_out is None else read_list(held_out, arguments.data, configuration.stems),
        )
    if arguments.held_out == NOBODY:
        return Songs(songs.training, [], songs.notes)
    if arguments.held_out is not None:
        return Songs(songs.training, find_songs(Path(arguments.held_out)).training, songs.notes)
    return songs


def _recipe(
    arguments: argparse.Namespace, configuration: SpleeterConfiguration | None, songs: Songs
) -> Recipe:
    from rtsep.training.warm_start import parse_layers, parse_sources, source_config

    text = arguments.stems
    if text is None and configuration is not None:
        text = ",".join(configuration.stems)
    stems, rest = parse_stems(text, stems_of(songs.training))
    sources = parse_sources(arguments.sources, [name for name, _ in stems])
    fields: dict[str, Any] = dict(configuration.recipe) if configuration is not None else {}
    config = source_config(sources)
    network = arguments.network or (UNET if config is None else config.kind)
    kind = KINDS[network]
    structure = kind.structure_for([name for name, _ in stems])
    fields |= {"network": network, "structure": structure}
    if network != UNET:
        fields["frames"] = kind.frames
    if config is not None:
        if config.kind != network:
            raise UsageError(
                f"--network {network}: the nets of {config.name} are of kind {config.kind}: leave out"
                " one of both"
            )
        fields |= {
            "encoder_activation": config.encoder_activation,
            "decoder_activation": config.decoder_activation,
            "structure": config.structure,
        }
    if arguments.activations is not None:
        encoder, comma, decoder = arguments.activations.partition(",")
        kinds = {"encoder_activation": encoder, "decoder_activation": decoder if comma else encoder}
        if config is not None and kinds != {name: fields[name] for name in kinds}:
            raise UsageError(
                f"--activations {arguments.activations}: the nets of {config.name} have"
                f" {config.encoder_activation},{config.decoder_activation}: leave out one of both"
            )
        fields |= kinds
    given = {
        "steps": arguments.steps,
        "batch": arguments.batch,
        "frames": arguments.frames,
        "bins": arguments.bins,
        "loss": arguments.loss,
        "learning_rate": arguments.learning_rate,
        "dropout": arguments.dropout,
        "output": arguments.net_output,
        "average": arguments.average,
        "mixed_precision": arguments.mixed_precision,
        "seed": arguments.seed,
        "patience": arguments.patience,
        "every": arguments.every,
    }
    fields |= {name: value for name, value in given.items() if value is not None}
    fields.setdefault("every", min(EVERY_MAX, max(1, fields.get("steps", DEFAULT_STEPS) // 10)))
    recipe = Recipe(
        stems=stems,
        rest=rest,
        sources=sources,
        augmentation=augmentation_of(arguments),
        **fields,
    )
    nets = recipe.config("own")
    return replace(
        recipe,
        taken=parse_layers(arguments.take, nets) if sources else (),
        frozen=parse_layers(arguments.freeze, nets),
    )


def _divided(
    songs: Songs, held_out: str | None, recipe: Recipe
) -> tuple[list[SongFiles], list[SongFiles]]:
    """The songs to train on and those to judge by."""
    if songs.held_out is not None:
        return songs.training, songs.held_out
    count = len(songs.training)
    if count < 2:
        _say("a single song leaves none to judge by: the latest model is kept, not the best")
        return songs.training, []
    order = np.random.default_rng(recipe.seed).permutation(count)
    chosen = set(order[: max(1, count // HELD_OUT_OF)].tolist())
    parts: tuple[list[SongFiles], list[SongFiles]] = [], []
    for index, song in enumerate(songs.training):
        parts[index in chosen].append(song)
    return parts


def _begin(
    folder: Path,
    recipe: Recipe,
    training: Sequence[SongFiles],
    held_out: Sequence[SongFiles],
    resume: bool,
) -> None:
    """Make the folder of the training, and say in it what the training is."""
    from rtsep.training.checkpoint import checkpoint_path, read_checkpoint

    if resume:
        # Before anything is written or decoded: is it this training's?
        read_checkpoint(folder, recipe)
    elif checkpoint_path(folder).exists():
        raise UsageError(
            f"{folder} holds a training already: add --resume to go on with it, or name another folder"
        )
    what = {
        "rtsep": __version__,
        "recipe": recipe.as_json(),
        "songs": [song.name for song in training],
        "held_out": [song.name for song in held_out],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(what, indent=1, ensure_ascii=False)
        write_whole(folder / "recipe.json", lambda file: file.write(text.encode()))
    except OSError as error:
        raise TrainingError(
            f"cannot write {folder}: {error.strerror or error}: make room, or name another folder"
        ) from error


def _describe(recipe: Recipe, songs: Sequence[Any], held_out: Sequence[Any], device: str) -> None:
    minutes = sum(song.duration_s for song in songs) / 60
    judged = ", ".join(song.name for song in held_out) or "nobody"
    print(
        f"{len(songs)} songs, {minutes:.0f} min; held out: {judged}\n"
        f"nets ({recipe.network}): {', '.join(recipe.names)}"
        f"{'; the rest has none' if recipe.rest else ''}; {recipe.steps} steps of {recipe.batch}"
        f" windows of {recipe.frames} frames, on {device}",
        flush=True,
    )


def _say(text: str) -> None:
    print(f"{PROGRAM}: note: {text}", file=sys.stderr, flush=True)


def _tell(quiet: bool, text: str) -> None:
    if not quiet:
        print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())

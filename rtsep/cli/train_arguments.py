"""The command line of `rtsep-train`: its options, and the recipe that they ask for."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rtsep.cli.common import OneLineParser
from rtsep.cli.numbers import count, multiple_of, whole_from
from rtsep.nets.kinds import KINDS
from rtsep.training.recipe import DEVICES, LOSSES, USUAL_AUGMENTATION, Augmentation

PROGRAM = "rtsep-train"

DESCRIPTION = """\
Train separation networks on your own songs, and get a model that every
program of rtsep runs, live included.

DATA is a folder of songs with their stems, in any of these layouts:
  SONG/vocals.wav, SONG/drums.flac, ...   a folder for each song; any stems,
                                          any format, any sample rate
  SONG.stem.mp4                           Stem files: drums, bass, other, vocals
  train/..., valid/..., test/...          MUSDB18 and MUSDB18-HQ: valid is held
                                          out, test is left alone
or, with -p, the folder that the lists of a configuration of Spleeter's are for.

Songs are decoded once. What is heard in training is the sum of the stems."""

EPILOG = """\
examples:
  rtsep-train songs -o run                          a net for each stem, Spleeter's recipe
  rtsep-train songs -o run --stems drums --from drums=spleeter:2stems/accompaniment
        --frames 64 --steps 500 --augment           a net for drums, from one that is there
  rtsep-train musdb18hq -o run -p configs/musdb_config.json
  rtsep-train songs -o run --resume                 go on after Ctrl-C, with the same options
  rtsep-weights import run --name mine              then: rtsep-separate -m mine,
                                                    rtsep-monitor -m mine

In the folder RUN: model.safetensors, the best model so far (import it at any
time); checkpoint.pt, to go on from; log.csv and curves.png; recipe.json.

How long it takes is said after a few steps. Ctrl-C keeps what was learned. What
to expect, and of how many songs: docs/training.md. The exit status is 0, 1 if
something failed, 2 for an impossible option, 130 after Ctrl-C."""


def build_parser() -> OneLineParser:
    """The parser; `--help` is the program's documentation."""
    parser = OneLineParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="see above")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RUN", help="folder of this training"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in RUN, with the same options",
    )
    parser.add_argument(
        "--device", choices=DEVICES, default="auto",
        help="auto: CUDA where torch finds it (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but warnings and errors"
    )

    songs = parser.add_argument_group("songs")
    songs.add_argument(
        "--stems", metavar="STEM,...",
        help="the stems to train nets for; NAME=A+B is the sum of two, accompaniment all but the"
        " vocals. What is in none of them is the model's rest (default: every stem there is)",
    )  # fmt: skip
    songs.add_argument(
        "--held-out", metavar="DATA",
        help="songs to judge by, which are not trained on; none for nobody (default: DATA/valid,"
        " or one song in ten)",
    )  # fmt: skip
    songs.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="folder for decoded songs, 11 MB per minute and stem (default: RUN/songs)",
    )  # fmt: skip
    songs.add_argument(
        "-p", "--params-filename", dest="spleeter", type=Path, metavar="JSON",
        help="take stems, lists of songs and recipe from a configuration of Spleeter's; options that"
        " are given count for more",
    )  # fmt: skip

    recipe = parser.add_argument_group("recipe (by default Spleeter's own)")
    recipe.add_argument(
        "--network", choices=list(KINDS),
        help="kind of the nets, see docs/training.md (default: unet, Spleeter's, or that of --from)",
    )  # fmt: skip
    recipe.add_argument("--steps", type=count, metavar="N", help="default: 200000")
    recipe.add_argument("--batch", type=count, metavar="N", help="windows per step (default: 4)")
    recipe.add_argument(
        "--frames", type=multiple_of(64), metavar="T",
        help="of a window, 23 ms each; 64 is what the live plans show a unet (default: 512, of other"
        " networks 192)",
    )  # fmt: skip
    recipe.add_argument(
        "--bins", type=multiple_of(64), metavar="F",
        help="1024 end at 11 kHz, 1536 at 16 kHz (default: 1024)",
    )  # fmt: skip
    recipe.add_argument("--loss", choices=LOSSES, help="see docs/training.md (default: magnitude)")
    recipe.add_argument(
        "--learning-rate", type=_number, metavar="R", help="of Adam (default: 0.0001)"
    )
    recipe.add_argument("--dropout", type=_number, metavar="P", help="default: 0.5")
    recipe.add_argument(
        "--activations", metavar="E,D",
        help="of encoder and decoder: leaky_relu, relu or elu (default: leaky_relu,relu, or those of"
        " --from)",
    )  # fmt: skip
    recipe.add_argument(
        "--softmax", action="store_const", const="softmax", dest="net_output",
        help="masks share every bin by a softmax, as in Spleeter's 5 stems",
    )  # fmt: skip
    recipe.add_argument(
        "--average", type=_number, metavar="D",
        help="keep a moving average of the weights, which is what is judged and kept; 0.999 is usual"
        " (default: 0, none)",
    )  # fmt: skip
    recipe.add_argument(
        "--mixed-precision", action="store_true", default=None,
        help="compute in bfloat16 where that is enough",
    )  # fmt: skip
    recipe.add_argument("--seed", type=whole_from(0), metavar="N", help="default: 0")

    begin = parser.add_argument_group("beginning with a model that is there")
    begin.add_argument(
        "--from", dest="sources", action="append", default=[], metavar="MODEL",
        help="start from the nets of MODEL, of MODEL/STEM for every stem, or with STEM=MODEL/STEM for"
        " one; repeatable; Spleeter's and your own",
    )  # fmt: skip
    begin.add_argument(
        "--take", default="all", metavar="LAYER,...",
        help="take over these layers only: encoder, decoder, all, or by name, of a unet conv1 .. conv6,"
        " up1 .. up6, mask",
    )  # fmt: skip
    begin.add_argument(
        "--freeze", default="none", metavar="LAYER,...", help="do not train these layers"
    )

    judge = parser.add_argument_group("judging and ending")
    judge.add_argument(
        "--every", type=count, metavar="N",
        help="steps from one evaluation, with its checkpoint, to the next (default: 1000, or a tenth"
        " of --steps where that is less)",
    )  # fmt: skip
    judge.add_argument(
        "--patience", type=whole_from(0), metavar="N",
        help="end after N evaluations without a better one; 0 never does (default: 0)",
    )  # fmt: skip
    judge.add_argument(
        "--onnx", action="store_true",
        help="at the end write the model as ONNX, too: RUN/STEM.onnx, windows of T frames",
    )  # fmt: skip

    usual = USUAL_AUGMENTATION
    change = parser.add_argument_group(
        "changing what is heard (by default nothing, as in Spleeter)"
    )
    change.add_argument(
        "--augment", action="store_true",
        help=f"all of these: {usual.gain_db:g} dB, swapping, speed {usual.speed:g},"
        f" equalise {usual.equalise_db:g} dB, remix {usual.remix:g}, silence {usual.silence:g}; right"
        " where songs are few",
    )  # fmt: skip
    change.add_argument(
        "--gain", type=_number, metavar="DB", help="make stems up to DB louder or quieter"
    )
    change.add_argument(
        "--swap", action="store_true", default=None, help="exchange left and right at times"
    )
    change.add_argument(
        "--speed",
        type=_number,
        metavar="P",
        help="play up to P times faster or slower, pitch and all",
    )
    change.add_argument(
        "--equalise",
        type=_number,
        metavar="DB",
        help="make every octave of a stem up to DB louder or quieter",
    )
    change.add_argument(
        "--remix",
        type=_number,
        metavar="P",
        help="take a stem from another song with probability P",
    )
    change.add_argument(
        "--silence", type=_number, metavar="P", help="leave out a stem with probability P"
    )
    return parser


def augmentation_of(arguments: argparse.Namespace) -> Augmentation:
    """What is changed in training. Raises UsageError for values that cannot be."""
    base = USUAL_AUGMENTATION if arguments.augment else Augmentation()
    given = {
        "gain_db": arguments.gain,
        "swap": arguments.swap,
        "speed": arguments.speed,
        "equalise_db": arguments.equalise,
        "remix": arguments.remix,
        "silence": arguments.silence,
    }
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _number(text: str) -> float:
    reader: Callable[[str], float] = float
    try:
        value = reader(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number: got {text!r}")
    return value

"""Named uses: what people want of the voices in a sound, by one word each. They are names for gains.

    option          voices    everything else
    --karaoke       away      kept
    --voices-only   kept      away
    --dialogue DB   kept      DB lower

Voices raised by DB and a rest lowered by DB are the same sound at two volumes. The rest is lowered: the
voices stay as loud as they were, no gain is above one, so that no DB makes the sound clip, and who wants
it louder has the volume control of the device.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

from rtsep.errors import UsageError
from rtsep.live import DEFAULT_STEM as VOICES

# Beyond this the rest is inaudible beside the voices: that is --voices-only.
MOST_DIALOGUE_DB = 60.0
# What a use cannot stand beside, by the name of the attribute.
EXCLUDED = {"stem": "--stem", "mute": "--mute", "all_stems": "--all-stems"}


@dataclass(frozen=True)
class Use:
    """What is heard; see SessionSettings.

    option: as it is typed, empty where none was. stems, muted: those that are heard, or silent at
    first. rest_gain: linear, of all others, where `stems` are named.
    """

    option: str = ""
    stems: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()
    rest_gain: float = 0.0


KARAOKE = Use("--karaoke", muted=(VOICES,))
VOICES_ONLY = Use("--voices-only", stems=(VOICES,))


def dialogue(decibels: float) -> Use:
    """The voices `decibels` louder against the rest than they were."""
    return Use("--dialogue", stems=(VOICES,), rest_gain=10 ** (-decibels / 20))


def add_use_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, in a group of their own."""
    uses = parser.add_argument_group(
        "uses", "Names for frequent mixes, one at a time; recipes: docs/recipes.md."
    ).add_mutually_exclusive_group()
    uses.add_argument(
        "--karaoke", dest="use", action="store_const", const=KARAOKE,
        help="the singer is taken away, so that you can sing; the key f fades the voice in and out",
    )  # fmt: skip
    uses.add_argument(
        "--voices-only", dest="use", action="store_const", const=VOICES_ONLY,
        help="the music is taken away and speech is kept, for calls and streams",
    )  # fmt: skip
    uses.add_argument(
        "--dialogue", dest="use", type=_dialogue, metavar="DB",
        help="everything but the voices is lowered by DB decibels, for those who are hard of hearing:"
        " 6 to 12 suit most films; nothing can clip, turn up the volume as you like",
    )  # fmt: skip


def use_of(args: argparse.Namespace) -> Use | None:
    """The use that was asked for, if any. Raises UsageError for options that contradict it."""
    use: Use | None = args.use
    if use is not None:
        for name, option in EXCLUDED.items():
            if getattr(args, name):
                raise UsageError(
                    f"{use.option} cannot be combined with {option}: both say what is heard; leave"
                    " out one of them"
                )
    return use


def _dialogue(text: str) -> Use:
    try:
        decibels = float(text)
    except ValueError:
        decibels = math.nan
    if not 0 < decibels <= MOST_DIALOGUE_DB:
        raise argparse.ArgumentTypeError(
            f"must be decibels, more than 0 and at most {MOST_DIALOGUE_DB:g}: got {text!r}"
        )
    return dialogue(decibels)

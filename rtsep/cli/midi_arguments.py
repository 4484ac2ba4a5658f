"""The options of MIDI: which device, and what its controls do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rtsep.cli.config_file import config_home
from rtsep.errors import UsageError

MAP_NAME = "midi.toml"


def add_midi(parser: argparse._ActionsContainer) -> None:
    """Add `--midi` and what belongs to it."""
    parser.add_argument(
        "--midi", nargs="?", const="", metavar="PORT",
        help="take the same commands from a MIDI controller or pedal, PORT being part of its name (by"
        " default the first; docs/osc-and-midi.md)",
    )  # fmt: skip
    parser.add_argument(
        "--midi-learn", action="append", default=[], metavar="COMMAND",
        help="the control touched next is kept for this, such as vocals/gain, vocals/mute, play, 'skip"
        " -5'; repeatable, one after the other",
    )  # fmt: skip
    parser.add_argument(
        "--midi-map", type=Path, metavar="FILE",
        help=f"what each control does (default: {MAP_NAME} beside the settings)",
    )  # fmt: skip
    parser.add_argument("--list-midi", action="store_true", help="list the MIDI devices and exit")


def chosen_midi(
    args: argparse.Namespace,
) -> tuple[str, str, list[dict[str, Any]], list[str]] | None:
    """What `midi_way` takes; None without MIDI. Raises UsageError."""
    if args.midi is None:
        if args.midi_learn:
            raise UsageError("--midi-learn needs a device: give --midi, too")
        return None
    from rtsep.control.midi.learning import read_wanted
    from rtsep.control.midi.midi_map import read_map

    for text in args.midi_learn:
        read_wanted(text)
    path = args.midi_map or config_home() / "rtsep" / MAP_NAME
    controls = read_map(path, is_wanted=args.midi_map is not None and not args.midi_learn)
    return args.midi, str(path), [control.to_table() for control in controls], args.midi_learn


def midi_list() -> str:
    """The MIDI devices there are, in lines. Raises RtsepError."""
    from rtsep.control.midi.inputs import list_inputs

    return list_inputs()

"""The options by which a program is controlled from outside, and the control that they begin."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rtsep.cli.midi_arguments import add_midi, chosen_midi
from rtsep.control.protocol import DEFAULT_OSC_PORT, DEFAULT_PORT, LOOPBACK
from rtsep.errors import UsageError
from rtsep.system.signals import shielded

if TYPE_CHECKING:
    from rtsep.control.address import Address
    from rtsep.control.commands import Controllable
    from rtsep.control.control import Control
    from rtsep.control.ways import Way


def add_control(parser: argparse._ActionsContainer) -> None:
    """Add `--control` and `--osc`, an Address or None where they are not given, and those of MIDI."""
    parser.add_argument(
        "--control", nargs="?", const=LOOPBACK, type=_page_address, metavar="ADDR:PORT",
        help="serve a page with faders and meters, and a protocol for other programs (extra control,"
        f" docs/control.md); at {LOOPBACK}:{DEFAULT_PORT} for this machine alone, at 0.0.0.0 for phones,"
        " with a token in the address that is printed",
    )  # fmt: skip
    parser.add_argument(
        "--osc", nargs="?", const=LOOPBACK, type=_osc_address, metavar="ADDR:PORT",
        help="take the same commands by OSC over UDP, such as /rtsep/vocals/gain -6 (extra osc,"
        f" docs/osc-and-midi.md); at {LOOPBACK}:{DEFAULT_OSC_PORT}, or at ADDR, without a password",
    )  # fmt: skip
    add_midi(parser)


def is_controlled(args: argparse.Namespace) -> str | None:
    """The option by which it is asked for, if it is."""
    for option in ("control", "osc", "midi"):
        if getattr(args, option) is not None:
            return f"--{option}"
    return None


def start_control(
    args: argparse.Namespace, stack: contextlib.ExitStack, say: Callable[[str], None]
) -> Control | None:
    """Begin to start what was asked for; `stack` ends it.

    Its processes start beside what the program does until `Control.begin`. Raises UsageError.
    """
    ways = _ways(args)
    if not ways:
        return None
    from rtsep.control.control import Control

    with shielded():
        control = Control(ways, say)
        stack.callback(control.close)
    return control


def begin_control(
    control: Control | None, target: Controllable, program: str
) -> Callable[[float], None]:
    """Let clients in, and tell the person where; returns what waits, in place of time.sleep."""
    if control is None:
        return time.sleep
    for line in control.begin(target, program):
        print(line, file=sys.stderr, flush=True)
    return control.wait


def _ways(args: argparse.Namespace) -> list[Way]:
    midi = chosen_midi(args)
    if args.control is None and args.osc is None and midi is None:
        return []
    from rtsep.control.ways import midi_way, osc_way, page_way

    ways = []
    if args.control is not None:
        # A code for a camera is for a terminal.
        can_be_seen = sys.stderr is not None and sys.stderr.isatty()
        ways.append(page_way(args.control, with_picture=can_be_seen))
    if args.osc is not None:
        ways.append(osc_way(args.osc))
    if midi is not None:
        ways.append(midi_way(*midi))
    return ways


def _page_address(text: str) -> Address:
    return _address(text, DEFAULT_PORT, "the control's")


def _osc_address(text: str) -> Address:
    return _address(text, DEFAULT_OSC_PORT, "OSC's")


def _address(text: str, default_port: int, whose: str) -> Address:
    from rtsep.control.address import read_address

    try:
        return read_address(text, default_port, whose)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

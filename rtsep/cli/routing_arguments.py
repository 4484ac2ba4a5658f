"""The options of rtsep-monitor that are about the sound of other programs, and what they ask for."""

from __future__ import annotations

import argparse

from rtsep.devices.backend import PORTAUDIO
from rtsep.errors import UsageError
from rtsep.routing.request import MICROPHONE, RoutingRequest

# What has no meaning where the sound server's own streams are taken.
_OF_DEVICES = ("input_file", "hostapi", "samplerate", "channels", "one_clock", "all_stems")


def add_routing_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options that take and offer sound by way of the sound server."""
    parser.add_argument(
        "--system", action="store_true",
        help="filter everything that is played on this computer; -o chooses where it is heard"
        " (default: the output in use, followed when it changes)",
    )  # fmt: skip
    parser.add_argument(
        "--app", action="append", default=[], metavar="NAME",
        help="filter only what this application plays, repeatable; part of its name is enough",
    )  # fmt: skip
    parser.add_argument(
        "--list-apps", action="store_true", help="list the applications that play, and exit"
    )
    parser.add_argument(
        "--sources", action="store_true",
        help="offer every stem as a recording device of its own (rtsep vocals, ...), for OBS, Zoom or a"
        " DAW, while the mix is heard",
    )  # fmt: skip
    parser.add_argument(
        "--as-microphone", action="store_true",
        help="offer the microphone's vocals as a recording device of its own (rtsep microphone): music"
        " away, voice kept; -i chooses the microphone",
    )  # fmt: skip


def option_of(name: str) -> str:
    """How an attribute of the parsed arguments is written on the command line."""
    return f"--{name.replace('_', '-')}"


def is_routed(args: argparse.Namespace) -> bool:
    """Whether the options ask for the sound server's streams in place of devices."""
    return bool(args.system or args.app or args.sources or args.as_microphone)


def routing_request(args: argparse.Namespace, stems: tuple[str, ...]) -> RoutingRequest:
    """What the options ask of the routing. Raises UsageError where they contradict each other.

    stems: all that are given out.
    """
    captures = bool(args.system or args.app)
    asked = [
        option
        for option, is_given in (
            ("--system", args.system), ("--app", args.app), ("--sources", args.sources),
            ("--as-microphone", args.as_microphone),
        )
        if is_given
    ]  # fmt: skip
    if args.system and args.app:
        raise UsageError(
            "--system filters everything, --app what one application plays: leave one of them out"
        )
    if args.as_microphone and (captures or args.sources):
        raise UsageError(
            f"--as-microphone takes the microphone's sound, so {asked[0]} cannot go with it: start"
            " rtsep-monitor twice"
        )
    for name in _OF_DEVICES:
        if getattr(args, name):
            raise UsageError(
                f"{option_of(name)} is about devices or files: leave it out with {asked[0]}"
            )
    if captures and args.input_device is not None:
        raise UsageError(
            f"-i {args.input_device}: with {asked[0]} the sound comes from other programs; leave it out"
        )
    if args.backend == PORTAUDIO:
        raise UsageError(f"--backend portaudio reaches devices alone: leave it out with {asked[0]}")
    if args.as_microphone and args.output_device is not None:
        raise UsageError(
            f"-o {args.output_device}: --as-microphone is heard by those who record it; leave it out"
        )
    offered = (MICROPHONE,) if args.as_microphone else stems if args.sources else ()
    return RoutingRequest(
        apps=tuple(args.app),
        capture=captures,
        output=args.output_device,
        input=args.input_device,
        stems=offered,
    )

"""Arguments that `rtsep-monitor` and `rtsep-play` share. Imports little: see cli/play.py."""

from __future__ import annotations

import argparse

from rtsep.cli.numbers import seconds_from
from rtsep.devices.backend import BACKENDS
from rtsep.errors import UsageError
from rtsep.live.priority import ORDINARY, PRIORITIES


def add_backend(devices: argparse._ActionsContainer) -> None:
    """Add the options that name the sound system, and say how long it is waited for."""
    devices.add_argument(
        "--backend", choices=BACKENDS,
        help="portaudio: the system's devices, the default; jack: a client of JACK or PipeWire with"
        " named ports; pulse: sources and sinks of PulseAudio; names of devices are then parts of names"
        " of ports, sources or sinks (docs/devices.md)",
    )  # fmt: skip
    devices.add_argument(
        "--reconnect", type=seconds_from(0, endless=True), default=60.0, metavar="S",
        help="wait up to S seconds for lost devices to return; 0 ends the program at once"
        " (default: %(default)g)",
    )  # fmt: skip


def add_priority(
    parser: argparse._ActionsContainer,
    default: str | None = ORDINARY,
    by_default: str = ORDINARY,
) -> None:
    """Add the option that says whether to go before other programs; by_default: in words."""
    parser.add_argument(
        "--priority", choices=PRIORITIES, default=default,
        help="real-time: run before other programs, if the system grants it (docs/linux.md);"
        f" ordinary: share the processor with them (default: {by_default})",
    )  # fmt: skip


def parse_gains(options: list[str]) -> dict[str, float]:
    """``NAME=DB`` options as linear gains by stem."""
    gains: dict[str, float] = {}
    for option in options:
        name, separator, decibels = option.partition("=")
        try:
            gains[name] = 10 ** (float(decibels) / 20)
        except ValueError:
            separator = ""
        if not separator:
            raise UsageError(f"--gain must look like vocals=-6: got {option!r}")
    return gains


def device_latency(text: str) -> float | str:
    """``low``, ``high`` or seconds."""
    if text in ("low", "high"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if value < 0:
        raise UsageError(f"--device-latency must be low, high or seconds: got {text!r}")
    return value

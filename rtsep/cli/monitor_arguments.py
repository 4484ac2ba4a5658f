"""The arguments of `rtsep-monitor`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rtsep.cli.common import OneLineParser
from rtsep.cli.keys import help_table
from rtsep.errors import UsageError
from rtsep.models.registry import MODELS, SUFFIX_16KHZ
from rtsep.plan import PLANS
from rtsep.realtime import ON_LATE

PROGRAM = "rtsep-monitor"

EPILOG = """\
examples:
  rtsep-monitor                              the vocals of the default input
  rtsep-monitor --mute vocals                everything but the vocals
  rtsep-monitor --stem drums --stem bass     drums and bass (four stems)
  rtsep-monitor -i monitor -o headphones     devices by part of their names; -l lists them
  rtsep-monitor --all-stems -o 7             each stem on its own pair of output channels
  rtsep-monitor --input-file song.flac --output-file vocals.wav
                                             the same engine on a file, as fast as it goes

keys:
"""


def build_parser() -> argparse.ArgumentParser:
    """The parser; `--help` is the program's documentation."""
    parser = OneLineParser(
        prog=PROGRAM,
        description="Separate what is playing, while it plays.",
        epilog=EPILOG + help_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    devices = parser.add_argument_group("devices")
    devices.add_argument("-l", "--list-devices", action="store_true", help="list and exit")
    devices.add_argument("-i", "--input-device", metavar="ID", help="number or part of a name")
    devices.add_argument("-o", "--output-device", metavar="ID", help="number or part of a name")
    devices.add_argument("--hostapi", metavar="NAME", help="e.g. ALSA, JACK, WASAPI, Core Audio")
    devices.add_argument(
        "--blocksize", type=_whole, default=0, metavar="N",
        help="samples per device block; 0 (default) lets PortAudio choose",
    )  # fmt: skip
    devices.add_argument(
        "--samplerate", type=_whole, metavar="HZ", help="default: the output device's own"
    )
    devices.add_argument("--channels", type=_whole, metavar="N", help="1 or 2; default 2 if there")
    devices.add_argument(
        "--device-latency", default="high", metavar="S",
        help="seconds, low or high (default: %(default)s)",
    )  # fmt: skip

    sound = parser.add_argument_group("what is heard")
    sound.add_argument("-m", "--model", help="default: the smallest that has the stems asked for")
    sound.add_argument(
        "--stem", action="append", default=[], metavar="NAME",
        help="a stem to hear, repeatable (default: vocals)",
    )  # fmt: skip
    sound.add_argument(
        "--mute", action="append", default=[], metavar="NAME",
        help="hear everything but this stem, repeatable",
    )  # fmt: skip
    sound.add_argument(
        "--gain", action="append", default=[], metavar="NAME=DB", help="gain of a stem, repeatable"
    )
    sound.add_argument(
        "--all-stems", action="store_true", help="each stem on its own pair of output channels"
    )
    sound.add_argument(
        "--latency", default="classic", metavar="PLAN",
        help="; ".join(f"{plan.name}: {plan.latency_ms:.0f} ms" for plan in PLANS.values())
        + " (default: %(default)s)",
    )  # fmt: skip
    sound.add_argument(
        "--on-late", choices=ON_LATE, default="hold",
        help="when masks are late: hold the last ones (default), then dry or muted sound",
    )  # fmt: skip
    sound.add_argument(
        "--no-auto-level", action="store_true", help="show the nets the input's level as it is"
    )
    sound.add_argument(
        "--mask-extension", choices=("zeros", "average"), default="average",
        help="above the model's bandwidth (default: %(default)s)",
    )  # fmt: skip

    session = parser.add_argument_group("session")
    session.add_argument(
        "--record", type=Path, metavar="DIR", help="write every stem while playing"
    )
    session.add_argument("--duration", type=_seconds, metavar="S", help="stop after S seconds")
    session.add_argument("--stats", type=Path, metavar="FILE", help="write statistics as JSON")
    session.add_argument("--input-file", type=Path, metavar="F", help="a file instead of a device")
    session.add_argument("--output-file", type=Path, metavar="F", help="a WAV file for the mix")
    session.add_argument("--realtime", action="store_true", help="pace files as a device would")
    session.add_argument("-q", "--quiet", action="store_true", help="no display")
    return parser


def chosen_model(args: argparse.Namespace, gains: dict[str, float]) -> str:
    """The model asked for, or the smallest that has every stem that was named."""
    if args.model:
        return args.model
    named = {*args.stem, *args.mute, *gains} or {"vocals"}
    fitting = [
        config
        for config in MODELS.values()
        if not config.name.endswith(SUFFIX_16KHZ) and named <= set(config.stems)
    ]
    if not fitting:
        known = sorted({stem for config in MODELS.values() for stem in config.stems})
        raise UsageError(
            f"no model has the stems {', '.join(sorted(named))} together: known stems are "
            f"{', '.join(known)}"
        )
    return min(fitting, key=lambda config: len(config.stems)).name


def parse_gains(options: list[str]) -> dict[str, float]:
    """``NAME=DB`` options as linear gains by stem."""
    gains = {}
    for option in options:
        name, separator, decibels = option.partition("=")
        try:
            gains[name] = 10 ** (float(decibels) / 20)
        except ValueError:
            separator = ""
        if not separator:
            raise UsageError(f"--gain must look like vocals=-6: got {option!r}")
    return gains


def mix_gains(
    args: argparse.Namespace, stems: tuple[str, ...], gains: dict[str, float]
) -> dict[str, float]:
    """Linear gain of every stem in the mix."""
    for name in (*args.stem, *args.mute, *gains):
        if name not in stems:
            raise UsageError(f"unknown stem {name!r}: choose from {', '.join(stems)}")
    heard = set(args.stem) or (set(stems) if args.mute else set(gains) or {"vocals"})
    return {stem: gains.get(stem, 1.0) if stem in heard - set(args.mute) else 0.0 for stem in stems}


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


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


_whole.__name__, _seconds.__name__ = "whole number", "number of seconds"

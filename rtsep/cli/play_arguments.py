"""The arguments of `rtsep-play`, and what they mean."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.cli.common import OneLineParser
from rtsep.cli.control_argument import add_control
from rtsep.cli.numbers import count, positive_seconds, seconds_from, whole_from
from rtsep.cli.precision_argument import add_precision
from rtsep.cli.shared_arguments import add_backend, add_priority, parse_gains
from rtsep.cli.terminal.keys import help_table
from rtsep.cli.terminal.play_keys import PLAY_KEYS
from rtsep.cli.terminal.spoken import add_screen_reader
from rtsep.cli.uses import VOICES
from rtsep.dsp import MASK_EXTENSIONS
from rtsep.errors import UsageError
from rtsep.files.formats import FORMATS
from rtsep.nets.registry import MODELS, ModelConfig
from rtsep.play import DEFAULT_LIMIT_GB
from rtsep.play.speed import (
    FASTEST_PERCENT,
    MOST_CENTS,
    MOST_SEMITONES,
    SLOWEST_PERCENT,
    Speed,
)

if TYPE_CHECKING:
    from rtsep.play.wishes import Wishes

PROGRAM = "rtsep-play"
DEFAULT_MODEL = "spleeter:2stems"
GIGA = 10**9

EPILOG = """\
examples:
  rtsep-play song.mp3                          space pauses, m mutes a stem, a begins a loop
  rtsep-play --karaoke album/ party.m3u        song after song without the singers
  rtsep-play song.flac -m spleeter:4stems --mute bass --loop 61.5 75 --tempo 70
                                               a passage for the bass player, slowly
  rtsep-play album/ --control 0.0.0.0          a phone is the mixer, from the page that is printed
  rtsep-play song.mp3 --key -2 --export lower.flac
                                               what would be heard, as a file

keys:
"""

EXIT_STATUS = """

What is set for a song is remembered and found again by the file's content. The exit status is 0, 1 if
something failed, 2 for an impossible option; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""


def build_parser() -> argparse.ArgumentParser:
    """The parser; `--help` is the program's documentation."""
    parser = OneLineParser(
        prog=PROGRAM,
        description="Play songs and mix their stems: mute, solo, loop, change tempo and key.",
        epilog=EPILOG + help_table(PLAY_KEYS) + EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "songs", nargs="*", metavar="FILE", help="files, folders, playlists (.m3u, .m3u8, .pls)"
    )
    sound = parser.add_argument_group("what is heard")
    sound.add_argument(
        "-m", "--model", default=DEFAULT_MODEL,
        help=f"one of {', '.join(MODELS)}, or one of your own (default: %(default)s)",
    )  # fmt: skip
    sound.add_argument(
        "--mute", action="append", default=[], metavar="STEM", help="silent at first; repeatable"
    )
    sound.add_argument(
        "--solo", action="append", default=[], metavar="STEM", help="heard alone; repeatable"
    )
    sound.add_argument(
        "--gain", action="append", default=[], metavar="STEM=DB", help="gain of a stem; repeatable"
    )
    sound.add_argument(
        "--karaoke", dest="mute", action="append_const", const=VOICES,
        help=f"the same as --mute {VOICES}; the keys 1 f fade the voice in and out",
    )  # fmt: skip
    sound.add_argument(
        "--tempo", type=float, metavar="PERCENT",
        help=f"{SLOWEST_PERCENT:g} to {FASTEST_PERCENT:g}; 100 is the song's own",
    )  # fmt: skip
    sound.add_argument(
        "--key", type=int, metavar="N", help=f"semitones up or down, {MOST_SEMITONES} at most"
    )
    sound.add_argument(
        "--tuning", type=float, metavar="CENTS", help=f"added to the key, {MOST_CENTS:g} at most"
    )
    sound.add_argument(
        "--start", type=seconds_from(0), default=0.0, metavar="S",
        help="begin so far into the first song",
    )  # fmt: skip
    sound.add_argument(
        "--loop", type=seconds_from(0), nargs=2, metavar=("A", "B"),
        help="play the first song from A to B, in seconds, again and again",
    )  # fmt: skip
    sound.add_argument(
        "--count-in", type=whole_from(0), metavar="BEATS", help="clicks before the sound begins"
    )
    sound.add_argument(
        "--bpm", type=float, metavar="N", help="the song's beats per minute, for --count-in"
    )
    sound.add_argument(
        "--mask-extension", choices=MASK_EXTENSIONS, default="top",
        help="above the model's frequencies, see rtsep-separate --help (default: %(default)s)",
    )  # fmt: skip
    sound.add_argument(
        "--export", type=Path, metavar="FILE",
        help="write what would be heard of one song, of a loop one pass, in place of playing it"
        f" (.{', .'.join(FORMATS)})",
    )  # fmt: skip

    devices = parser.add_argument_group("device")
    devices.add_argument("-l", "--list-devices", action="store_true", help="list and exit")
    add_backend(devices)
    devices.add_argument("-o", "--output-device", metavar="ID", help="number or part of a name")
    devices.add_argument("--hostapi", metavar="NAME", help="e.g. ALSA, JACK, WASAPI, Core Audio")
    devices.add_argument("--samplerate", type=count, metavar="HZ", help="default: the device's own")
    devices.add_argument(
        "--blocksize", type=whole_from(0), default=0, metavar="N",
        help="samples per device block; 0 (default) lets PortAudio choose",
    )  # fmt: skip
    devices.add_argument(
        "--device-latency", default="high", metavar="S",
        help="length of the device buffers: seconds, low or high (default: %(default)s)",
    )  # fmt: skip

    session = parser.add_argument_group("session")
    session.add_argument(
        "--paused", action="store_true", help="begin paused, until space is pressed"
    )
    session.add_argument(
        "--duration", type=positive_seconds, metavar="S", help="stop after S seconds"
    )
    session.add_argument(
        "--forget", action="store_true",
        help="neither look for what was set for a song nor remember it",
    )  # fmt: skip
    session.add_argument(
        "--cache", type=_gigabytes, default=DEFAULT_LIMIT_GB, metavar="GB",
        help="what finished stems may take on the disk, in GB; 0 keeps none (default: %(default)g)",
    )  # fmt: skip
    session.add_argument(
        "-j", "--jobs", metavar="N", type=count, help="threads (default: one per processor core)"
    )
    add_control(session)
    add_precision(session, "f32")
    add_priority(session, default=None, by_default="real-time")
    add_screen_reader(session)
    session.add_argument("-q", "--quiet", action="store_true", help="no display")
    return parser


def wishes_of(args: argparse.Namespace, model: ModelConfig) -> Wishes:
    """What the options ask for. Raises UsageError for unknown stems and values out of range."""
    from rtsep.play.count_in import CountIn
    from rtsep.play.song_settings import StemSetting
    from rtsep.play.wishes import Wishes

    gains_db = {name: _decibels(gain) for name, gain in parse_gains(args.gain).items()}
    for name in (*args.mute, *args.solo, *gains_db):
        if name not in model.stems:
            raise UsageError(
                f"{model.name} has no stem {name!r}: choose from {', '.join(model.stems)}"
            )
    stems = {}
    if args.mute or args.solo or args.gain:
        stems = {
            stem: StemSetting(gains_db.get(stem, 0.0), stem in args.mute, stem in args.solo)
            for stem in model.stems
        }
    speed = None
    if (args.tempo, args.key, args.tuning) != (None, None, None):
        speed = Speed(
            100.0 if args.tempo is None else args.tempo, args.key or 0, args.tuning or 0.0
        )
    if args.bpm is not None and args.count_in is None:
        raise UsageError("--bpm is the pace of --count-in: give both")
    count_in = None
    if args.count_in is not None:
        count_in = CountIn(args.count_in, 120.0 if args.bpm is None else args.bpm)
    loop_s = None
    if args.loop is not None:
        begin_s, end_s = args.loop
        if end_s <= begin_s:
            raise UsageError(f"--loop must end after its beginning: got {begin_s:g} to {end_s:g} s")
        loop_s = begin_s, end_s
    return Wishes(stems, speed, count_in, loop_s, args.start)


def _decibels(gain: float) -> float:
    return 20 * math.log10(gain)


def _gigabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6:
        raise argparse.ArgumentTypeError(f"must be a number of GB, 0 or more: got {text!r}")
    return number

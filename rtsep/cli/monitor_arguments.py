"""The arguments of `rtsep-monitor`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rtsep.cli.common import OneLineParser
from rtsep.cli.control_argument import add_control, is_controlled
from rtsep.cli.numbers import positive_seconds, whole_from
from rtsep.cli.precision_argument import add_precision
from rtsep.cli.reading_arguments import add_reading_arguments
from rtsep.cli.routing_arguments import add_routing_arguments
from rtsep.cli.service import add_service_arguments
from rtsep.cli.shared_arguments import add_backend, add_priority, parse_gains
from rtsep.cli.standard_streams import add_pcm_argument, path_or_standard
from rtsep.cli.terminal.keys import help_table
from rtsep.cli.terminal.spoken import add_screen_reader
from rtsep.cli.uses import Use, add_use_arguments, use_of
from rtsep.dsp import MASK_EXTENSIONS
from rtsep.errors import UsageError
from rtsep.files.formats import FORMATS
from rtsep.live import INDEPENDENT, ON_LATE, RATIO
from rtsep.live.plans.choice import AUTO
from rtsep.live.plans.plan import PLANS
from rtsep.live.session import SessionSettings

PROGRAM = "rtsep-monitor"

EPILOG = """\
examples:
  rtsep-monitor                              the vocals of the default input
  rtsep-monitor --karaoke                    everything but the vocals; f fades them in and out
  rtsep-monitor --stem drums --stem bass     drums and bass (four stems)
  rtsep-monitor --system --karaoke           all that this computer plays, without the voices
  rtsep-monitor --app firefox --sources      what Firefox plays; its stems for OBS to record
  rtsep-monitor --as-microphone              a microphone without the music, for calls
  rtsep-monitor -i monitor -o headphones     devices by part of their names; -l lists them
  rtsep-monitor --all-stems -o 7             each stem on its own pair of output channels
  rtsep-monitor --input-file song.flac --output-file vocals.wav
                                             the same engine on a file, as fast as it goes
  ffmpeg -i song.mp3 -f f32le - | rtsep-monitor --input-file - --pcm f32le --output-file - \
    --mute vocals | ffplay -f f32le -      between two programs

keys:
"""

EXIT_STATUS = """

The exit status is 0, 1 if something failed or is missing from the recording, 2 for an impossible
option; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, with recordings complete."""


def build_parser() -> argparse.ArgumentParser:
    """The parser; `--help` is the program's documentation."""
    parser = OneLineParser(
        prog=PROGRAM,
        description="Separate what is playing, while it plays.",
        epilog=EPILOG + help_table() + EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    devices = parser.add_argument_group("devices")
    devices.add_argument("-l", "--list-devices", action="store_true", help="list and exit")
    add_device_arguments(devices)
    add_backend(devices)

    add_routing_arguments(parser.add_argument_group("sound of other programs (Linux)"))
    add_use_arguments(parser)

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
        "--latency", default=AUTO, metavar="PLAN",
        help="auto: the shortest plan that this machine sustains and that separates about as well as "
        "classic; a bound such as 120ms: the best-sounding sustained plan within it; "
        + ", ".join(f"{plan.name}: {plan.latency_ms:.0f} ms" for plan in PLANS.values())
        + "; or a plan spelt out as in docs/latency.md (default: %(default)s)",
    )  # fmt: skip
    sound.add_argument(
        "--retime", action="store_true",
        help="measure the networks' speed again instead of using the stored timing",
    )  # fmt: skip
    sound.add_argument(
        "--adaptive", action="store_true",
        help="change to a longer plan, even beyond --latency, while masks are late or the networks have"
        " no time left, and back after 30 s of room; the sound then jumps by the difference of the"
        " latencies (auto does so anyway, but for files)",
    )  # fmt: skip
    sound.add_argument(
        "--on-late", choices=ON_LATE, default="hold",
        help="while masks are late: keep the last ones (hold, the default), or after a few hops pass the"
        " input (dry) or silence (mute)",
    )  # fmt: skip
    sound.add_argument(
        "--no-auto-level", action="store_true", help="give the networks the input at its own level"
    )
    sound.add_argument(
        "--mask-extension", choices=MASK_EXTENSIONS, default="top",
        help="above the model's frequencies: silence (zeros), the mean of the mask below (average), or"
        " the lesser of that mean and the mean of the mask's top bins (top) (default: %(default)s)",
    )  # fmt: skip
    sound.add_argument(
        "--ratio", action=argparse.BooleanOptionalAction,
        help="run the networks of all stems and share the sound among them, or only the networks of"
        " the stems named, with everything else as one remainder (default: all if every stem is given"
        " out or the machine sustains it)",
    )  # fmt: skip

    session = parser.add_argument_group("session")
    session.add_argument(
        "--record", type=Path, metavar="DIR",
        help="write every stem to a new DIR/STEM.wav while playing; the recording is kept however the"
        " program ends",
    )  # fmt: skip
    session.add_argument(
        "--duration", type=positive_seconds, metavar="S", help="stop after S seconds"
    )
    session.add_argument("--stats", type=Path, metavar="FILE", help="write statistics as JSON")
    session.add_argument(
        "--input-file", type=path_or_standard, metavar="F",
        help="a file instead of a device; - is standard input",
    )  # fmt: skip
    add_reading_arguments(session)
    session.add_argument(
        "--output-file", type=path_or_standard, metavar="F",
        help="write the mix to a file, in the format of its extension"
        f" (.{', .'.join(FORMATS)}); an interrupted run leaves an earlier file as it was; - is"
        " standard output, which gets float WAV, or raw PCM, as it is made",
    )  # fmt: skip
    add_pcm_argument(session)
    session.add_argument(
        "--realtime", action="store_true", help="play files at the pace of a device"
    )
    add_precision(session, "auto with devices and --realtime, f32 with files")
    add_priority(session, default=None, by_default="real-time")
    add_control(session)
    add_screen_reader(session)
    session.add_argument("-q", "--quiet", action="store_true", help="no display")

    settings = parser.add_argument_group("settings (docs/presets.md)")
    settings.add_argument("--list-presets", action="store_true", help="list and exit")
    add_service_arguments(settings)
    return parser


def add_device_arguments(devices: argparse._ActionsContainer) -> None:
    """Add the options that name the devices and say how they are opened."""
    devices.add_argument("-i", "--input-device", metavar="ID", help="number or part of a name")
    devices.add_argument("-o", "--output-device", metavar="ID", help="number or part of a name")
    devices.add_argument("--hostapi", metavar="NAME", help="e.g. ALSA, JACK, WASAPI, Core Audio")
    devices.add_argument(
        "--one-clock", action="store_true",
        help="input and output are one interface with two names: open them as one stream, which has"
        " less latency than two streams",
    )  # fmt: skip
    devices.add_argument(
        "--blocksize", type=whole_from(0), default=0, metavar="N",
        help="samples per device block; 0 (default) lets PortAudio choose",
    )  # fmt: skip
    devices.add_argument(
        "--samplerate", type=whole_from(0), metavar="HZ", help="default: the output device's own"
    )
    devices.add_argument(
        "--channels", type=whole_from(0), metavar="N", help="1 or 2; default 2 if there"
    )
    devices.add_argument(
        "--device-latency", default="high", metavar="S",
        help="length of the device buffers: seconds, low or high (default: %(default)s)",
    )  # fmt: skip


def session_settings(args: argparse.Namespace) -> SessionSettings:
    """What the options mean for the engine. Raises UsageError."""
    paced = args.input_file is None or args.realtime
    if args.adaptive and not paced:
        raise UsageError(
            "--adaptive needs a device, or --realtime with --input-file: a file that waits for the "
            "networks has no late masks"
        )
    masking = {None: None, True: RATIO, False: INDEPENDENT}[args.ratio]
    use = use_of(args) or Use(stems=tuple(args.stem), muted=tuple(args.mute))
    return SessionSettings(
        model=args.model,
        stems=use.stems,
        muted=use.muted,
        gains=parse_gains(args.gain),
        rest_gain=use.rest_gain,
        latency=args.latency,
        masking=masking,
        separate_stems=bool(args.record or args.all_stems or args.sources),
        on_late=args.on_late,
        auto_level=not args.no_auto_level,
        mask_extension=args.mask_extension,
        adaptive=args.adaptive,
        # A file is as long as what it is made of, and its delay is taken out.
        adjusting=args.input_file is None,
        changeable=is_controlled(args) is not None,
        paced=paced,
        retime=args.retime,
        block_samples=args.blocksize,
        precision=args.precision,
    )

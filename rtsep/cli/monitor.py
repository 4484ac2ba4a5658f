"""`rtsep-monitor`: separate what is playing, while it plays.

    arguments -> settings -> EngineMaker --+--> monitor_devices.py: devices or a sound server
                                           +--> monitor_files.py: a file, or standard input

What the person is told and what is written down: monitor_report.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rtsep.cli.collisions import Output, check_collisions, check_folder, check_place
from rtsep.cli.common import run
from rtsep.cli.config_file import preset_names
from rtsep.cli.control_argument import is_controlled
from rtsep.cli.monitor_arguments import PROGRAM, build_parser, session_settings
from rtsep.cli.monitor_report import say
from rtsep.cli.routing_arguments import is_routed, routing_request
from rtsep.cli.service import install_service, uninstall_service
from rtsep.cli.standard_streams import STANDARD, raw_format
from rtsep.cli.surroundings import prepare
from rtsep.cli.terminal.progress import download_progress
from rtsep.errors import UsageError
from rtsep.files.formats import format_of
from rtsep.live.engine_maker import EngineMaker
from rtsep.system.part_file import is_special


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    prepare(PROGRAM)
    words = sys.argv[1:] if argv is None else argv
    args = build_parser().parse_args(words)
    return run(PROGRAM, lambda: monitor(args, words))


def monitor(args: argparse.Namespace, words: Sequence[str]) -> int:
    """List the devices, or run a session. words: those that `args` were made of."""
    if args.list_presets:
        print("\n".join(preset_names()) or "no presets (docs/presets.md)")
        return 0
    if args.uninstall_service is not None:
        print(uninstall_service(args.uninstall_service, PROGRAM))
        return 0
    if args.list_devices:
        from rtsep.cli.backends import device_list

        print(device_list(args))
        return 0
    if args.list_midi:
        from rtsep.cli.midi_arguments import midi_list

        print(midi_list())
        return 0
    if args.list_apps:
        from rtsep.cli.app_list import app_list

        print(app_list())
        return 0
    if args.output_file and not args.input_file:
        raise UsageError("--output-file needs --input-file: to record a device use --record DIR")
    if (args.track or args.strict) and not args.input_file:
        raise UsageError("--track and --strict are about files: use them with --input-file")
    if args.input_file and (option := is_controlled(args)):
        raise UsageError(f"{option} is for what is heard meanwhile: leave out --input-file")
    in_use = STANDARD in (args.input_file, args.output_file)
    raw = raw_format(args.pcm, args.samplerate, args.channels, in_use=in_use)
    settings = session_settings(args)
    make_engine = EngineMaker(
        settings,
        progress=partial(download_progress, plain=args.screen_reader),
        say=(lambda line: None) if args.quiet else say,
    )
    stems = settings.outputs(settings.masking_choices[-1])
    if args.install_service is not None:
        if is_routed(args):
            routing_request(args, stems)  # raises where options contradict each other
        print(install_service(args, words, PROGRAM))
        return 0
    _check_files(args, stems)
    if args.input_file and not is_routed(args):
        from rtsep.cli.monitor_files import run_on_file

        return run_on_file(args, make_engine, raw)
    from rtsep.cli.monitor_devices import run_on_devices

    return run_on_devices(args, make_engine, stems)


def _check_files(args: argparse.Namespace, stems: tuple[str, ...]) -> None:
    """Raise UsageError or AudioFileError for files that must not be written, or cannot be."""
    from rtsep.live.recorder import already_recorded, recording_paths

    def output(path: Path, name: str) -> Output:
        return Output(path, name, lambda other: "choose another name")

    outputs = []
    recordings = recording_paths(args.record, stems) if args.record is not None else []
    outputs += [output(path, f"{path.stem} of --record") for path in recordings]
    if isinstance(args.output_file, Path):
        format_of(args.output_file)
        outputs.append(output(args.output_file, "--output-file"))
    if args.stats is not None:
        outputs.append(output(args.stats, "--stats"))
    check_collisions([args.input_file] if isinstance(args.input_file, Path) else [], outputs)
    for path in recordings:
        if os.path.lexists(path):
            raise already_recorded(path)
    if args.record is not None:
        check_folder(args.record)
    if isinstance(args.output_file, Path):
        check_place(args.output_file)
    if args.stats is not None and not is_special(args.stats):
        check_place(args.stats)


if __name__ == "__main__":
    sys.exit(main())

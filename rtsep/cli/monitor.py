"""`rtsep-monitor`: separate what is playing, while it plays.

The main path reads top to bottom: arguments, model, engine, devices or files, loop, summary.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.cli.collisions import Output, check_collisions, check_folder, check_place
from rtsep.cli.common import run
from rtsep.cli.monitor_arguments import (
    PROGRAM,
    build_parser,
    device_latency,
    session_settings,
)
from rtsep.cli.standard_streams import (
    OUTPUT,
    STANDARD,
    raw_format,
    standard_input,
    standard_output,
)
from rtsep.cli.surroundings import prepare
from rtsep.cli.terminal.progress import clock, download_progress
from rtsep.cli.uses import VOICES
from rtsep.errors import RtsepError, UsageError
from rtsep.files.byte_source import ByteStream
from rtsep.files.formats import format_of
from rtsep.files.pipe_writer import PipeTarget
from rtsep.files.raw_pcm import RawFormat
from rtsep.live.engine_maker import EngineMaker
from rtsep.live.priority import ORDINARY, REAL_TIME, session_first
from rtsep.live.process_settings import live_process
from rtsep.system.part_file import is_special, write_whole
from rtsep.system.signals import shielded

if TYPE_CHECKING:
    from rtsep.cli.terminal.display import Display
    from rtsep.live.device_session import DeviceSession
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.mixer import MixControls
    from rtsep.live.recorder import Recorder

# In words for the person, by what session_first has got.
THREADS = {
    REAL_TIME: "run before other programs (real-time)",
    ORDINARY: "of ordinary priority: busy programs may delay them (docs/linux.md)",
}
# The display and the keys are looked after this often.
TICK_S = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    prepare(PROGRAM)
    args = build_parser().parse_args(argv)
    return run(PROGRAM, lambda: monitor(args))


def monitor(args: argparse.Namespace) -> int:
    """List the devices, or run a session."""
    if args.list_devices:
        from rtsep.devices.portaudio import device_list

        print(device_list())
        return 0
    if args.output_file and not args.input_file:
        raise UsageError("--output-file needs --input-file: to record a device use --record DIR")
    if (args.track or args.strict) and not args.input_file:
        raise UsageError("--track and --strict are about files: use them with --input-file")
    in_use = STANDARD in (args.input_file, args.output_file)
    raw = raw_format(args.pcm, args.samplerate, args.channels, in_use=in_use)
    settings = session_settings(args)
    make_engine = EngineMaker(
        settings, progress=download_progress, say=(lambda line: None) if args.quiet else _say
    )
    stems = settings.outputs(settings.masking_choices[-1])
    _check_files(args, stems)
    if args.input_file:
        with _target(args, raw) as target:
            return _file_session(args, make_engine, raw, target)
    return _device_session(args, make_engine, stems)


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


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


def _recorder(
    args: argparse.Namespace, stems: tuple[str, ...], stack: contextlib.ExitStack
) -> Recorder | None:
    """Begin to record, if asked to; `stack` ends it."""
    from rtsep.live.recorder import Recorder

    if args.record is None:
        return None
    with shielded():
        recorder = Recorder(args.record, stems)
        stack.callback(recorder.close)
    return recorder


def _failure_watch(recorder: Recorder | None) -> Callable[[], None]:
    """A function to be called now and then, which says at once, and once, that recording has ended."""
    told = False

    def look() -> None:
        nonlocal told
        if recorder is not None and recorder.failure is not None and not told:
            told = True
            _say(f"recording ended: {recorder.failure}")

    return look


# --- devices ------------------------------------------------------------------------------------


def _device_session(
    args: argparse.Namespace, make_engine: EngineMaker, stems: tuple[str, ...]
) -> int:
    from rtsep.cli.terminal.display import make_display
    from rtsep.devices.choice import DeviceSettings, choose_devices
    from rtsep.live.device_adapter import MIX, STEMS
    from rtsep.live.device_session import DeviceSession
    from rtsep.live.live_separator import LiveSeparator

    settings = DeviceSettings(
        args.input_device, args.output_device, args.hostapi, args.samplerate, args.channels,
        None if args.all_stems else args.channels, args.blocksize,
        device_latency(args.device_latency), args.one_clock,
    )  # fmt: skip
    channels_out = 2 * len(stems) if args.all_stems else 2
    devices = choose_devices(settings, channels_out)
    engine = make_engine()
    controls = mixing_desk(args, engine)
    engine.warm_up()
    session = recorder = None
    try:
        with session_first(args.priority) as priority, contextlib.ExitStack() as stack:
            stack.enter_context(live_process())
            recorder = _recorder(args, engine.stems, stack)
            live = LiveSeparator.around(
                engine, heard=STEMS if args.all_stems else MIX, recorder=recorder
            )
            with shielded():
                live.start()
                stack.callback(live.close)
            session = DeviceSession(
                live, settings, devices, channels_out,
                recorder=recorder, patience_s=args.reconnect, say=_say,
            )  # fmt: skip
            stack.callback(session.close)
            described = _describe(engine, session.latency_ms, make_engine.why, priority)
            header = [*session.describe(), *described]
            display = make_display(engine, controls, header, quiet=args.quiet, recorder=recorder)
            session.start()
            _loop(args, engine, controls, display, session, recorder)
    finally:
        if session is not None:
            more = {**session.stats(), "priority": priority}
            _report(args, engine, session.latency_ms, recorder, more)
        _check_recorded(recorder)
    return 0


def mixing_desk(args: argparse.Namespace, engine: LiveEngine) -> MixControls:
    """What the keys act on: at first on the voices, where a use was named."""
    from rtsep.live.mixer import MixControls

    selected = VOICES if args.use is not None else None
    return MixControls(engine, dict(zip(engine.stems, engine.gains.tolist())), selected)


def _describe(
    engine: LiveEngine, latency_ms: Mapping[str, float | None], why: str, priority: str | None
) -> list[str]:
    heard = ", ".join(stem for stem, gain in zip(engine.stems, engine.gains) if gain > 0)
    return [
        f"heard   {heard or 'nothing'} ({engine.config.name}, {len(engine.workers)} of"
        f" {len(engine.config.stems)} nets)",
        f"latency {latency_ms['total']:.1f} ms: plan {engine.plan.name} "
        f"{latency_ms['algorithm']:.1f} + device in {latency_ms['device_input']:.1f} + out "
        f"{latency_ms['device_output']:.1f}",
        f"plan    {engine.plan.name}: {why}",
        *([f"threads {THREADS[priority]}"] if priority else []),
    ]


def _loop(
    args: argparse.Namespace,
    engine: LiveEngine,
    controls: MixControls,
    display: Display,
    session: DeviceSession,
    recorder: Recorder | None,
) -> None:
    """Look after devices, display and keys until it is over; raises where something failed."""
    from rtsep.cli.terminal.keys import KeyReader, handle_key

    ends = time.monotonic() + args.duration if args.duration else float("inf")
    say_if_recording_ended = _failure_watch(recorder)
    display.start()
    try:
        with KeyReader() as keys:
            while (now := time.monotonic()) < ends:
                engine.check()
                session.tick(now)
                say_if_recording_ended()
                controls.tick(now)
                display.refresh(now)
                key = keys.poll()
                if key is not None and not handle_key(key, controls, display):
                    break
                time.sleep(TICK_S)
    finally:
        display.stop()


# --- files --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _target(args: argparse.Namespace, raw: RawFormat | None) -> Iterator[Path | PipeTarget | None]:
    """Where the mix goes."""
    if args.output_file != STANDARD:
        yield args.output_file
        return
    with standard_output() as file:
        yield PipeTarget(file, OUTPUT, raw, "float")


def _file_session(
    args: argparse.Namespace,
    make_engine: EngineMaker,
    raw: RawFormat | None,
    target: Path | PipeTarget | None,
) -> int:
    from rtsep.files.reader import AudioReader
    from rtsep.live.file_session import run_file
    from rtsep.live.stats import latency_parts_ms

    source: Path | ByteStream = args.input_file
    if args.input_file == STANDARD:
        source = standard_input()
    else:
        raw = None
    engine = make_engine()
    engine.warm_up()
    recorder = None
    try:
        with (
            session_first(args.priority if args.realtime else "ordinary") as priority,
            contextlib.ExitStack() as stack,
        ):
            stack.enter_context(live_process())
            recorder = _recorder(args, engine.stems, stack)
            with shielded():
                engine.start()
                stack.callback(engine.stop)
            with AudioReader(source, None, args.duration, args.track, args.strict, raw) as reader:
                run_file(
                    engine, reader, target, recorder,
                    paced=args.realtime, tick=_failure_watch(recorder),
                )  # fmt: skip
        # The reader has replaced them before the engine could see them.
        engine.counters.count_bad_samples(reader.bad_samples)
        for remark in reader.remarks:
            _say(f"{'warning' if remark.damage else 'note'}: {reader.label} {remark}")
        latency_ms = latency_parts_ms(engine.plan.latency_ms)
        if not args.quiet:
            # Where nobody waits there is no hurry either.
            hurry = priority if args.realtime else None
            print("\n".join(_describe(engine, latency_ms, make_engine.why, hurry)), file=sys.stderr)
        _report(args, engine, latency_ms, recorder, {"priority": priority})
    finally:
        _check_recorded(recorder)
    return 0


# --- afterwards ---------------------------------------------------------------------------------


def _report(
    args: argparse.Namespace,
    engine: LiveEngine,
    latency_ms: Mapping[str, float | None],
    recorder: Recorder | None,
    more: Mapping[str, Any],
) -> None:
    from rtsep.cli.terminal.summary import summary
    from rtsep.environment import versions

    lost_samples = recorder.lost_samples if recorder is not None else 0
    stats = {
        **engine.stats(), **more, "lost_samples": lost_samples, "latency_ms": latency_ms,
        "versions": versions(),
    }  # fmt: skip
    if args.stats is not None:
        _write_json(args.stats, stats)
    if args.quiet:
        return
    print("\n".join(summary(stats)), file=sys.stderr)
    if recorder is not None and recorder.recorded_s:
        paths = ", ".join(str(path) for path in recorder.paths)
        print(f"recorded {paths}, {clock(recorder.recorded_s)}", file=sys.stderr)


def _check_recorded(recorder: Recorder | None) -> None:
    """Raise RtsepError if the recording is not whole, unless another such error is on its way."""
    if recorder is None or isinstance(sys.exc_info()[1], RtsepError):
        return
    if recorder.failure is not None:
        raise recorder.failure
    if recorder.lost_samples:
        raise RtsepError(f"{recorder.lost_samples} samples are missing from the recording")


def _write_json(path: Path, stats: Mapping[str, Any]) -> None:
    text = json.dumps(stats, indent=2) + "\n"
    try:
        write_whole(path, lambda file: file.write(text.encode()))
    except OSError as error:
        raise RtsepError(f"cannot write {path}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())

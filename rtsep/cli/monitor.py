"""`rtsep-monitor`: separate what is playing, while it plays.

The main path reads top to bottom: arguments, model, engine, devices or files, loop, summary.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtsep.cli.common import run
from rtsep.cli.engine_maker import EngineMaker
from rtsep.cli.monitor_arguments import (
    PROGRAM,
    build_parser,
    chosen_model,
    device_latency,
    parse_gains,
)
from rtsep.cli.surroundings import prepare
from rtsep.errors import RtsepError, UsageError
from rtsep.models.registry import find_model
from rtsep.realtime.priority import ORDINARY, REAL_TIME, session_first

if TYPE_CHECKING:
    from rtsep.realtime.recorder import Recorder

# In words for the person, by what session_first has got.
THREADS = {
    REAL_TIME: "go before other programs (real-time)",
    ORDINARY: "of ordinary priority: busy programs may hold them up (docs/devices.md)",
}
# The display and the keys are looked after this often.
TICK_S = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status."""
    prepare(PROGRAM)
    args = build_parser().parse_args(argv)
    # Told to end by another program: as by Ctrl-C, with terminal and recordings in order.
    with contextlib.suppress(ValueError):  # only the main thread may set handlers
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run(PROGRAM, lambda: monitor(args))


def monitor(args: argparse.Namespace) -> int:
    """List the devices, or run a session."""
    if args.list_devices:
        from rtsep.audio.portaudio import device_list

        print(device_list())
        return 0
    if args.output_file and not args.input_file:
        raise UsageError("--output-file needs --input-file: to record a device use --record DIR")
    gains = parse_gains(args.gain)
    config = find_model(chosen_model(args, gains))
    make_engine = EngineMaker(args, config, gains)
    session = _file_session if args.input_file else _device_session
    return session(args, make_engine)


def _say(line: str) -> None:
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def _recorder(args, stems) -> Recorder | None:
    from rtsep.realtime.recorder import Recorder

    return Recorder(args.record, stems) if args.record else None


# --- devices ------------------------------------------------------------------------------------


def _device_session(args, make_engine) -> int:
    from rtsep.audio.devices import DeviceSettings, choose_devices
    from rtsep.cli.display import make_display
    from rtsep.realtime.controls import MixControls
    from rtsep.realtime.device_session import DeviceSession

    settings = DeviceSettings(
        args.input_device, args.output_device, args.hostapi, args.samplerate, args.channels,
        None if args.all_stems else args.channels, args.blocksize,
        device_latency(args.device_latency), args.one_clock,
    )  # fmt: skip
    channels_out = 2 * len(make_engine.stems) if args.all_stems else 2
    devices = choose_devices(settings, channels_out)
    engine = make_engine()
    controls = MixControls(engine, dict(zip(engine.stems, engine.gains.tolist())))
    # A thread that holds the GIL lets the audio thread wait this long, in place of 5 ms.
    sys.setswitchinterval(0.0005)
    engine.warm_up()
    with session_first(args.priority) as priority:
        engine.start()
        recorder = _recorder(args, engine.stems)
        session = None
        try:
            session = DeviceSession(
                engine, settings, devices, channels_out, all_stems=args.all_stems,
                recorder=recorder, patience_s=args.reconnect, say=_say,
            )  # fmt: skip
            described = _describe(engine, session.latency_ms, make_engine.why, priority)
            header = [*session.describe(), *described]
            display = make_display(engine, controls, header, quiet=args.quiet)
            session.start()
            _loop(args, engine, controls, display, session, recorder)
        finally:
            if session is not None:
                session.close()
            engine.stop()
            if recorder is not None:
                recorder.close()
            if session is not None:
                more = {**session.stats(), "priority": priority}
                _report(args, engine, session.latency_ms, recorder, more)
    return 0


def _describe(engine, latency_ms, why, priority) -> list[str]:
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


def _loop(args, engine, controls, display, session, recorder) -> None:
    """Look after devices, display and keys until it is over; raises where something failed."""
    from rtsep.cli.keys import KeyReader, handle_key

    ends = time.monotonic() + args.duration if args.duration else float("inf")
    complained = False
    display.start()
    try:
        with KeyReader() as keys:
            while (now := time.monotonic()) < ends:
                engine.check()
                session.tick(now)
                if recorder is not None and recorder.failure is not None and not complained:
                    complained = True
                    _say(f"recording ended: {recorder.failure}")
                controls.tick(now)
                display.refresh(now)
                key = keys.poll()
                if key is not None and not handle_key(key, controls, display):
                    break
                time.sleep(TICK_S)
    except KeyboardInterrupt:
        pass
    finally:
        display.stop()


# --- files --------------------------------------------------------------------------------------


def _file_session(args, make_engine) -> int:
    from rtsep.realtime.file_session import run_file
    from rtsep.realtime.stats import latency_parts_ms

    engine = make_engine()
    engine.warm_up()
    with session_first(args.priority if args.realtime else "ordinary") as priority:
        recorder = _recorder(args, engine.stems)
        engine.start()
        try:
            run_file(
                engine, args.input_file, args.output_file, recorder,
                paced=args.realtime, duration_s=args.duration,
            )  # fmt: skip
        finally:
            engine.stop()
            if recorder is not None:
                recorder.close()
    latency_ms = latency_parts_ms(engine.plan.latency_ms)
    if not args.quiet:
        # Where nobody waits there is no hurry either.
        hurry = priority if args.realtime else None
        print("\n".join(_describe(engine, latency_ms, make_engine.why, hurry)), file=sys.stderr)
    _report(args, engine, latency_ms, recorder, {"priority": priority})
    return 0


# --- afterwards ---------------------------------------------------------------------------------


def _report(args, engine, latency_ms, recorder, more) -> None:
    from rtsep.cli.summary import summary
    from rtsep.machine import versions

    stats = {**engine.stats(), **more, "latency_ms": latency_ms, "versions": versions()}
    if args.stats is not None:
        _write_json(args.stats, stats)
    if not args.quiet:
        print("\n".join(summary(stats)), file=sys.stderr)
    if recorder is not None and recorder.failure is None and not args.quiet:
        print(f"recorded {', '.join(str(path) for path in recorder.paths)}", file=sys.stderr)


def _write_json(path: Path, stats: dict) -> None:
    try:
        path.write_text(json.dumps(stats, indent=2) + "\n")
    except OSError as error:
        raise RtsepError(f"cannot write {path}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())

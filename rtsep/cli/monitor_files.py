"""rtsep-monitor on a file or standard input, through the same engine."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from rtsep.cli.monitor_report import (
    begin_recording,
    check_recorded,
    describe,
    failure_watch,
    report,
    say,
)
from rtsep.cli.standard_streams import OUTPUT, STANDARD, standard_input, standard_output
from rtsep.files.byte_source import ByteStream
from rtsep.files.pipe_writer import PipeTarget
from rtsep.files.raw_pcm import RawFormat
from rtsep.live.engine_maker import EngineMaker
from rtsep.live.priority import ORDINARY, session_first
from rtsep.live.process_settings import live_process
from rtsep.system.signals import shielded


def run_on_file(args: argparse.Namespace, make_engine: EngineMaker, raw: RawFormat | None) -> int:
    """Separate the file, or standard input in the format `raw`; returns the exit status."""
    with _target(args, raw) as target:
        return _file_session(args, make_engine, raw, target)


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
            session_first((args.priority or ORDINARY) if args.realtime else ORDINARY) as priority,
            contextlib.ExitStack() as stack,
        ):
            stack.enter_context(live_process())
            recorder = begin_recording(args, engine.stems, stack)
            with shielded():
                engine.start()
                stack.callback(engine.stop)
            with AudioReader(source, None, args.duration, args.track, args.strict, raw) as reader:
                run_file(
                    engine, reader, target, recorder,
                    paced=args.realtime, tick=failure_watch(recorder),
                )  # fmt: skip
        # The reader has replaced them before the engine could see them.
        engine.counters.count_bad_samples(reader.bad_samples)
        for remark in reader.remarks:
            say(f"{'warning' if remark.damage else 'note'}: {reader.label} {remark}")
        latency_ms = latency_parts_ms(engine.plan.latency_ms)
        if not args.quiet:
            # Where nobody waits there is no hurry either.
            hurry = priority if args.realtime else None
            lines = describe(engine, latency_ms, make_engine.why, make_engine.precision, hurry)
            print("\n".join(lines), file=sys.stderr)
        report(args, engine, latency_ms, recorder, {"priority": priority.name})
    finally:
        check_recorded(recorder)
    return 0

"""What rtsep-monitor tells the person and writes down: at the start, of its recording, at the end."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsep.cli.monitor_arguments import PROGRAM
from rtsep.cli.terminal.progress import clock
from rtsep.errors import RtsepError
from rtsep.live.priority import ORDINARY, REAL_TIME
from rtsep.system.part_file import write_whole
from rtsep.system.signals import shielded

if TYPE_CHECKING:
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.priority import SessionPriority
    from rtsep.live.recorder import Recorder
    from rtsep_kernels.precision import ChosenPrecision

# In words for the person, by what session_first has got.
THREADS = {
    REAL_TIME: "run before other programs (real-time: {})",
    ORDINARY: "of ordinary priority ({}): busy programs may delay them (docs/linux.md)",
}


def say(line: str) -> None:
    """Tell the person a line."""
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def describe(
    engine: LiveEngine,
    latency_ms: Mapping[str, float | None],
    why: str,
    precision: ChosenPrecision,
    priority: SessionPriority | None,
) -> list[str]:
    """What is heard, how much later and why, in lines for the person. why: this plan."""
    heard = ", ".join(stem for stem, gain in zip(engine.stems, engine.gains) if gain > 0)
    return [
        f"heard   {heard or 'nothing'} ({engine.config.name}, {len(engine.workers)} of"
        f" {len(engine.config.net_stems)} nets)",
        f"latency {latency_ms['total']:.1f} ms: plan {engine.plan.name} "
        f"{latency_ms['algorithm']:.1f} + device in {latency_ms['device_input']:.1f} + out "
        f"{latency_ms['device_output']:.1f}",
        f"plan    {engine.plan.name}: {why}",
        f"nets    {precision.precision}: {precision.why}",
        *([f"threads {THREADS[priority.name].format(priority.why)}"] if priority else []),
    ]


def describe_delay(latency_ms: Mapping[str, float | None]) -> str:
    """How to let a picture wait for the sound, where players do not ask."""
    total_ms = latency_ms["total"] or 0.0
    return (
        f"picture if it comes early: mpv --audio-delay={-total_ms / 1000:.3f}; VLC --audio-desync="
        f"{-total_ms:.0f}; OBS: Sync Offset {-total_ms:.0f} ms"
    )


def begin_recording(
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


def failure_watch(recorder: Recorder | None) -> Callable[[], None]:
    """A function to be called now and then, which says at once, and once, that recording has ended."""
    told = False

    def look() -> None:
        nonlocal told
        if recorder is not None and recorder.failure is not None and not told:
            told = True
            say(f"recording ended: {recorder.failure}")

    return look


def report(
    args: argparse.Namespace,
    engine: LiveEngine,
    latency_ms: Mapping[str, float | None],
    recorder: Recorder | None,
    more: Mapping[str, Any],
) -> None:
    """Write `--stats`, and tell how it went."""
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


def check_recorded(recorder: Recorder | None) -> None:
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

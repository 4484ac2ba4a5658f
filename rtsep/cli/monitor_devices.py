"""rtsep-monitor on devices: what comes in is separated and heard, until it is over."""

from __future__ import annotations

import argparse
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from rtsep.cli.backends import make_backend, priority_of
from rtsep.cli.control_argument import begin_control, start_control
from rtsep.cli.monitor_arguments import PROGRAM
from rtsep.cli.monitor_report import (
    begin_recording,
    check_recorded,
    describe,
    describe_delay,
    failure_watch,
    report,
    say,
)
from rtsep.cli.routing_arguments import is_routed, routing_request
from rtsep.cli.uses import VOICES
from rtsep.live.priority import session_first
from rtsep.live.process_settings import live_process
from rtsep.system.memory import keep_in_memory
from rtsep.system.signals import shielded

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtsep.cli.routed_sound import RoutedSound
    from rtsep.cli.terminal.display import Display
    from rtsep.control.mixing import MixCommands
    from rtsep.devices.backend import Ends
    from rtsep.live.device_session import DeviceSession
    from rtsep.live.engine_maker import EngineMaker
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.mixer import MixControls
    from rtsep.live.recorder import Recorder
    from rtsep.routing.request import RoutingRequest

# The display and the keys are looked after this often.
TICK_S = 0.05


def run_on_devices(
    args: argparse.Namespace, make_engine: EngineMaker, stems: tuple[str, ...]
) -> int:
    """Open devices, or what other programs play, and play on; returns the exit status."""
    from rtsep.cli.terminal.display import make_display
    from rtsep.control.stream import StreamCommands
    from rtsep.live.device_session import DeviceSession
    from rtsep.live.live_stream import LiveStream

    session = recorder = None
    memory_kept = keep_in_memory()
    with contextlib.ExitStack() as outer:
        control = start_control(args, outer, say)
        if is_routed(args):
            # The sound server's answers take as long as the nets: at the same time.
            request = routing_request(args, stems)
            with ThreadPoolExecutor(1) as pool:
                routing = pool.submit(_route, args, request, outer)
                engine = make_engine()
                engine.warm_up()
                routed, ends = routing.result()
            backend, heard = routed.backend, routed.heard
        else:
            routed = None
            backend, heard = make_backend(args, stems)
            ends = backend.find()
            make_engine.on_device(ends.output_rate)
            engine = make_engine()
            engine.warm_up()
        controls = mixing_desk(args, engine)
        try:
            with session_first(priority_of(args)) as priority, contextlib.ExitStack() as stack:
                stack.enter_context(live_process())
                recorder = begin_recording(args, engine.stems, stack)
                live = LiveStream(engine, heard=heard, recorder=recorder)
                with shielded():
                    live.start()
                    stack.callback(live.close)
                session = DeviceSession(
                    live, backend, ends,
                    recorder=recorder, patience_s=args.reconnect, say=say,
                )  # fmt: skip
                stack.callback(session.close)
                session.start()
                # What the ends add is known once they are connected.
                described = describe(
                    engine, session.latency_ms, make_engine.why, make_engine.precision, priority
                )
                header = [*session.describe(), *described]
                if routed is not None:
                    header.append(describe_delay(session.latency_ms))
                commands = StreamCommands(engine, controls, lambda: session.latency_ms, recorder)
                wait = begin_control(control, commands, PROGRAM)
                display = make_display(
                    engine, controls, header,
                    quiet=args.quiet, spoken=args.screen_reader, recorder=recorder,
                )  # fmt: skip
                if routed is not None:
                    # Streams leave before the sound that they hear stops.
                    stack.callback(routed.close)
                _loop(args, engine, commands, wait, display, session, recorder, routed)
        finally:
            if session is not None:
                more = {
                    **session.stats(), "priority": priority.name, "memory_kept": memory_kept,
                }  # fmt: skip
                report(args, engine, session.latency_ms, recorder, more)
            check_recorded(recorder)
    return 0


def mixing_desk(args: argparse.Namespace, engine: LiveEngine) -> MixControls:
    """What the keys act on: at first on the voices, where a use was named."""
    from rtsep.live.mixer import MixControls

    selected = VOICES if args.use is not None else None
    return MixControls(engine, dict(zip(engine.stems, engine.gains.tolist())), selected)


def _route(
    args: argparse.Namespace, request: RoutingRequest, stack: contextlib.ExitStack
) -> tuple[RoutedSound, Ends]:
    """Begin to route the sound of other programs; `stack` ends it. Also what to connect."""
    from rtsep.cli.routed_sound import RoutedSound

    routed = RoutedSound(args, request)
    stack.callback(routed.close)
    return routed, routed.backend.find()


def _loop(
    args: argparse.Namespace,
    engine: LiveEngine,
    commands: MixCommands,
    wait: Callable[[float], None],
    display: Display,
    session: DeviceSession,
    recorder: Recorder | None,
    routed: RoutedSound | None,
) -> None:
    """Look after devices, display and keys until it is over; raises where something failed."""
    from rtsep.cli.terminal.keys import KeyReader, handle_key

    ends = time.monotonic() + args.duration if args.duration else float("inf")
    say_if_recording_ended = failure_watch(recorder)
    display.start()
    try:
        with KeyReader() as keys:
            while (now := time.monotonic()) < ends:
                engine.check()
                session.tick(now)
                if routed is not None:
                    routed.tick(session)
                say_if_recording_ended()
                commands.mixer.tick(now)
                display.refresh(now)
                key = keys.poll()
                if key is not None and not handle_key(key, commands, display):
                    break
                wait(TICK_S)
    finally:
        display.stop()

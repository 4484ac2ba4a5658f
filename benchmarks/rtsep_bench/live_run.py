"""One live run of an engine for a given time: on sound paced like a device's, or on devices.

    main thread: display, failures      audio thread: blocks -> engine, paced or called by PortAudio

As in `rtsep-monitor`: the same engine, bridge, stream and display.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsep.cli.terminal.display import Display, LiveDisplay, Quiet
from rtsep.constants import SAMPLE_RATE
from rtsep.environment import usable_cores
from rtsep.errors import RtsepError
from rtsep.live.engine import Engine
from rtsep.live.file_session import run_paced
from rtsep.live.mixer import MixControls
from rtsep.live.stats import latency_parts_ms
from rtsep_bench.memory import rss_mb

if TYPE_CHECKING:
    from rtsep.devices.choice import Devices
    from rtsep.devices.open import PortAudioBackend

TICK_S = 0.05
# Memory is looked at from then on, and at the end.
SETTLED_S = 2.0
# Where the display is drawn when stderr is no terminal: nowhere, but drawn all the same.
WIDTH, HEIGHT = 120, 40


@dataclass(frozen=True)
class OpenDevices:
    """Devices that have been found and what opens them."""

    devices: Devices
    backend: PortAudioBackend


def run_on_sound(
    engine: Engine, sound: NDArray[np.float32], block: int, seconds: float, display: bool
) -> dict:
    """Run a started engine on `sound`, over and over, paced; returns its statistics.

    sound: (samples, 2) float32 at 44.1 kHz. block: samples. As Engine.stats, with `latency_ms` as in
    rtsep-monitor's --stats, `rss_mb` at the end and `rss_growth_mb` over the run (MB of 10^6 bytes, None
    where unknown), `cpu_load`, the part of all usable cores' time that the process took, display
    included, and `late_masks_seen`: when, on the monotonic clock, how many more masks were late than
    TICK_S before. Raises RtsepError where a worker or the callback fails.
    """
    stopping = threading.Event()
    failures: list[RtsepError] = []

    def work() -> None:
        try:
            for _ in run_paced(engine, _blocks(sound, block, seconds, stopping)):
                pass
        except RtsepError as error:
            failures.append(error)
        except BaseException as error:
            failures.append(RtsepError(f"the audio callback failed: {error!r}"))

    audio = threading.Thread(target=work, name="rtsep paced", daemon=True)
    audio.start()
    try:
        seen = _look_after(engine, _display(engine, display), np.inf, audio.is_alive)
    finally:
        stopping.set()
        audio.join()
    if failures:
        raise failures[0]
    return {**engine.stats(), "latency_ms": latency_parts_ms(engine.plan.latency_ms), **seen}


def run_on_devices(
    engine: Engine, opened: OpenDevices, seconds: float, display: bool, say: Callable[[str], None]
) -> dict:
    """Run a started engine on devices; returns its statistics, as run_on_sound.

    Raises RtsepError where the devices cannot be opened or stop, or a worker or the callback fails.
    """
    from rtsep.live.device_session import DeviceSession
    from rtsep.live.live_stream import LiveStream

    devices = opened.devices
    session = DeviceSession(LiveStream(engine), opened.backend, devices)
    say(f"{devices.input_name} to {devices.output_name}, {devices.output_rate} Hz")

    def running() -> bool:
        session.tick(time.monotonic())
        return True

    try:
        session.start()
        seen = _look_after(engine, _display(engine, display), seconds, running)
        device_stats = session.stats()
    finally:
        session.close()
    return {**engine.stats(), "latency_ms": session.latency_ms, **seen, **device_stats}


def _look_after(
    engine: Engine, display: Display, seconds: float, running: Callable[[], bool]
) -> dict[str, Any]:
    """Do what rtsep-monitor's main thread does; returns what it saw (see run_on_sound)."""
    begun, cpu_begun_s = time.monotonic(), time.process_time()
    before_mb = None
    late, late_masks_seen = 0, []
    display.start()
    try:
        while (now := time.monotonic()) < begun + seconds and running():
            engine.check()
            display.refresh(now)
            if before_mb is None and now > begun + SETTLED_S:
                before_mb = rss_mb()
            if engine.counters.late_masks > late:
                late_masks_seen.append((now, engine.counters.late_masks - late))
                late += late_masks_seen[-1][1]
            time.sleep(TICK_S)
    finally:
        display.stop()
    after_mb = rss_mb()
    growth_mb = None if before_mb is None or after_mb is None else after_mb - before_mb
    cores_s = usable_cores() * (time.monotonic() - begun)
    return {
        "rss_mb": after_mb,
        "rss_growth_mb": growth_mb,
        "cpu_load": (time.process_time() - cpu_begun_s) / cores_s,
        "late_masks_seen": late_masks_seen,
    }


def _blocks(
    sound: NDArray[np.float32], block: int, seconds: float, stopping: threading.Event
) -> Iterator[NDArray[np.float32]]:
    for at in range(0, int(seconds * SAMPLE_RATE), block):
        if stopping.is_set():
            return
        start = at % (len(sound) - block)
        yield sound[start : start + block]


def _display(engine: Engine, wanted: bool) -> Display:
    if not wanted:
        return Quiet()
    from rich.console import Console

    gains = dict(zip(engine.stems, map(float, engine.gains)))
    if sys.stderr.isatty():
        console = Console(stderr=True)
    else:
        # Open until the program ends, like stderr.
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        console = Console(file=nowhere, force_terminal=True, width=WIDTH, height=HEIGHT)
    return LiveDisplay(engine, MixControls(engine, gains), [], console)
